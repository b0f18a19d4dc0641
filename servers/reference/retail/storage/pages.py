"""Lists in pages (AIP-158): how large a page is, and where the next one begins.

A token says only after which key the next page begins, never what its holder may see; it names its
list, so that one list's token is no good for another.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from typing import Final

from meshpact.interceptors.policy import MethodPolicy

VERSION: Final = "1"


def size(asked: int, policy: MethodPolicy) -> int:
    """Items on a page: those asked for, within what the contract says."""
    if policy.page_sizes is None:
        raise ValueError("the method's policy has no pagination")
    default, most = policy.page_sizes
    return min(asked, most) if asked else default


def write(name: str, *key: str) -> str:
    """The token of the page after `key` in the list `name`."""
    raw = "\0".join((VERSION, name, *key)).encode()
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def read(name: str, token: str, invalid: Callable[[], Exception], parts: int) -> list[str]:
    """The key in a token, `parts` strings, all empty for the first page.

    Raises what `invalid` makes when the text is no token of the list `name`.
    """
    if not token:
        return [""] * parts
    try:
        padded = token.encode("ascii") + b"=" * (-len(token) % 4)
        raw = base64.b64decode(padded, altchars=b"-_", validate=True).decode()
    except (binascii.Error, UnicodeError):
        raise invalid() from None
    version, _, rest = raw.partition("\0")
    found = rest.split("\0")
    if version != VERSION or found[0] != name or len(found) != parts + 1:
        raise invalid()
    return found[1:]
