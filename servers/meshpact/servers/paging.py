"""Lists in pages (AIP-158): how large a page is, and where the next one begins.

A page token says after which key the next page begins. It is signed and good only for the method,
the caller and the arguments it was given to, until it expires; it says nothing about what its
holder may see.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from typing import Final, TypeVar, cast

import msgspec
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from itsdangerous import BadData, Signer
from itsdangerous.encoding import base64_decode, base64_encode

from meshpact.interceptors.call import Call
from meshpact.interceptors.errors import FieldViolation, invalid_request
from meshpact.interceptors.policy import MethodPolicy
from meshpact.servers.scopes import scope_of

T = TypeVar("T")
Key = tuple[str | int, ...]
"""Where a page ends: the values it is ordered by, of its last item. Times as `isoformat()`."""

EXPIRES_AFTER: Final = 24 * 3600.0
TURNS: Final = frozenset({"page_token", "page_size"})
"""Arguments that may change from page to page."""


def page_size(asked: int, policy: MethodPolicy) -> int:
    """Items on a page: those asked for, within what the contract says; 0 asks for the default.

    INVALID_ARGUMENT for a negative size, ValueError for a method without `pagination`.
    """
    if policy.page_sizes is None:
        raise ValueError("the method's policy has no pagination")
    default, most = policy.page_sizes
    if asked < 0:
        text = f"must not be negative; found {asked}, 0 gives {default} items"
        raise invalid_request([FieldViolation("page_size", text, "INT32_GTE")])
    return min(asked, most) if asked else default


class PageTokens:
    """Makes and reads page tokens.

    `secret` is at least 32 random bytes, the same in all processes of the service (for example
    `context.secret("pages")`); of several the last one signs and all are believed. Tokens end
    `expires_after` seconds after they were made.
    """

    def __init__(
        self,
        secret: bytes | Sequence[bytes],
        *,
        expires_after: float = EXPIRES_AFTER,
        clock: Callable[[], float] = time.time,
    ) -> None:
        keys = [secret] if isinstance(secret, bytes) else list(secret)
        if not keys or min(map(len, keys)) < 32:
            raise ValueError("a secret of page tokens has at least 32 bytes")
        self._keys = keys
        self._expires_after = expires_after
        self._clock = clock

    def start(self, request: Message, call: Call) -> Key | None:
        """After which key the page begins; None for the first page.

        INVALID_ARGUMENT, reason INVALID_REQUEST: on `page_token` when it is no token, another
        caller's or method's, or expired; on the argument that changed since it was given.
        """
        token = _token(request)
        if not token:
            return None
        try:
            signed = self._signer(call).unsign(token)
            expires, known, key = _said(base64_decode(signed))
        except (BadData, msgspec.DecodeError):
            text = "is not one that this list gave to this caller; begin without it"
            raise _refused("page_token", text, "PAGE_TOKEN_INVALID") from None
        if self._clock() >= expires:
            text = "has expired; begin without it"
            raise _refused("page_token", text, "PAGE_TOKEN_EXPIRED")
        now = _arguments(request)
        changed = sorted(name for name in known | now if known.get(name) != now.get(name))
        if changed:
            text = "changed since the page token was given; keep it, or begin without the token"
            raise invalid_request(
                [FieldViolation(name, text, "PAGE_ARGUMENT_CHANGED") for name in changed]
            )
        return key

    def next(self, request: Message, call: Call, key: Key) -> str:
        """The token of the page that begins after `key`."""
        expires = int(self._clock() + self._expires_after)
        said = msgspec.json.encode((expires, _arguments(request), key))
        return self._signer(call).sign(base64_encode(said)).decode()

    def page(
        self, request: Message, call: Call, found: Sequence[T], size: int, key: Callable[[T], Key]
    ) -> tuple[Sequence[T], str]:
        """What to answer: the page of `size` items, and the token of the next one.

        `found` are up to `size + 1` items: one more than fits tells that there is a next page.
        """
        if len(found) <= size:
            return found, ""
        return found[:size], self.next(request, call, key(found[size - 1]))

    def _signer(self, call: Call) -> Signer:
        salt = f"meshpact.paging.{scope_of(call)}"
        return Signer(self._keys, salt, digest_method=hashlib.sha256)


_said: Final = msgspec.json.Decoder(tuple[int, dict[str, str], Key]).decode
"""When a token ends, a digest of each argument, and the key."""


def _token(request: Message) -> str:
    return cast("str", getattr(request, "page_token"))  # noqa: B009 - typed as Message


def _refused(field: str, text: str, reason: str) -> Exception:
    return invalid_request([FieldViolation(field, text, reason)])


def _arguments(request: Message) -> dict[str, str]:
    """A digest of each argument that was given, but for those that turn the page."""
    given = [field for field, _ in request.ListFields()]
    return {
        field.name: _digest(request, field, given) for field in given if field.name not in TURNS
    }


def _digest(request: Message, field: FieldDescriptor, given: Sequence[FieldDescriptor]) -> str:
    alone = request
    if len(given) > 1:
        alone = type(request)()
        alone.CopyFrom(request)
        for other in given:
            if other.name != field.name:
                alone.ClearField(other.name)
    raw = alone.SerializeToString(deterministic=True)
    return hashlib.sha256(raw).hexdigest()[:16]
