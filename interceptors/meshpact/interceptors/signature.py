"""Signed tokens (JWS compact serialization, RFC 7515), read strictly and verified by given keys."""

from __future__ import annotations

import base64
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final

from joserfc.errors import JoseError
from joserfc.jwk import Key
from joserfc.jws import JWSRegistry

from meshpact.interceptors.keyring import fits
from meshpact.interceptors.strictjson import parse_object

MAX_TOKEN: Final = 8192
"""Characters of a token."""
MAX_HEADER: Final = 2048
"""Characters of its first part."""
MAX_KEY_ID: Final = 256

_COMPACT: Final = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*\.[A-Za-z0-9_-]+")
_PATH: Final = re.compile(r"[/~]|\.{1,2}(/|$)|.*(\\|/\.\.|://)")


class SignatureFault(Exception):
    """A token that is not to be believed. The text says why, and holds nothing of the token."""


@dataclass(frozen=True, slots=True)
class Compact:
    """A token as it came: nothing of it is proven."""

    header: Mapping[str, Any] = field(repr=False)
    payload: bytes = field(repr=False)
    algorithm: str
    key_id: str = field(repr=False)
    """`kid`, "" when there is none."""
    signed: bytes = field(repr=False)
    signature: bytes = field(repr=False)

    @property
    def names_a_path(self) -> bool:
        """Whether the key ID looks like a path or an address, as no issuer's would."""
        return bool(_PATH.match(self.key_id))


def looks_signed(token: str) -> bool:
    """Whether a text has the form of a signed token; what has not may be an opaque one."""
    if not _COMPACT.fullmatch(token):
        return False
    try:
        return b'"alg"' in _decode(token.partition(".")[0])
    except SignatureFault:
        return False


def parse(token: str) -> Compact:
    """Takes a token apart. Only strict base64url without padding and sound JSON pass."""
    if len(token) > MAX_TOKEN:
        raise SignatureFault(f"the token is longer than {MAX_TOKEN} characters")
    if not _COMPACT.fullmatch(token):
        raise SignatureFault("the token is not a signed JWT")
    first, second, third = token.split(".")
    if len(first) > MAX_HEADER:
        raise SignatureFault(f"the token's header is longer than {MAX_HEADER} characters")
    header, algorithm, key_id = _header(first)
    return Compact(
        header, _decode(second), algorithm, key_id, f"{first}.{second}".encode(), _decode(third)
    )


@lru_cache(maxsize=256)
def _header(segment: str) -> tuple[Mapping[str, Any], str, str]:
    """(header, algorithm, key ID). Remembered, as all tokens of one key begin alike."""
    try:
        header = parse_object(_decode(segment))
    except ValueError as error:
        raise SignatureFault(f"the token's header is not sound: {error}") from None
    algorithm, key_id = header.get("alg"), header.get("kid", "")
    if not isinstance(algorithm, str) or not algorithm:
        raise SignatureFault("the token names no algorithm")
    if not isinstance(key_id, str) or len(key_id) > MAX_KEY_ID or not key_id.isprintable():
        raise SignatureFault("the token's key ID is not one")
    if "crit" in header or "b64" in header:
        raise SignatureFault("the token has critical header parameters")
    return MappingProxyType(header), algorithm, key_id


def check(token: Compact, keys: Sequence[Key], algorithms: Collection[str]) -> None:
    """Passes a token that one of the keys has signed by one of the algorithms.

    Raises SignatureFault. A key verifies only what it is for (`meshpact.interceptors.keyring`).
    """
    if token.algorithm not in algorithms:
        raise SignatureFault("the token's algorithm is not allowed here")
    fitting = [key for key in keys if fits(key, token.algorithm)]
    if not fitting:
        raise SignatureFault("the token's key is not for its algorithm")
    if not any(_holds(token, key) for key in fitting):
        raise SignatureFault("the token's signature does not hold")


def _holds(token: Compact, key: Key) -> bool:
    # Not through joserfc.jws.deserialize_compact: it parses anew, and less strictly.
    algorithm = JWSRegistry.algorithms[token.algorithm]
    try:
        return algorithm.verify(token.signed, token.signature, key)
    except (JoseError, ValueError, TypeError):
        return False


def _decode(segment: str) -> bytes:
    try:
        raw = base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4))
    except ValueError:
        raise SignatureFault("the token is not base64url") from None
    if base64.urlsafe_b64encode(raw).rstrip(b"=").decode() != segment:
        raise SignatureFault("the token is not strict base64url")
    return raw
