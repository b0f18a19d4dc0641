"""Which browsers are known: device cookies, as OWASP has them against lockouts of others.

Whoever signs in gets a signed token for this account and browser. A try that brings one is counted
for the device alone, so that no stranger's guesses keep it out. It is good for nothing else.
https://owasp.org/www-community/Slow_Down_Online_Guessing_Attacks_with_Device_Cookies
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import struct
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

KEPT: Final = 4
"""Accounts that one browser is known for; the one that signed in longest ago makes room."""
_TIME: Final = struct.Struct(">Q")
_NONCE: Final = 16
_LENGTH: Final = _TIME.size + _NONCE + hashlib.sha256().digest_size
_WRITTEN: Final = -(-_LENGTH * 4 // 3)


class _Token(NamedTuple):
    written: str
    until: bytes
    nonce: bytes
    tag: bytes


class Devices:
    """Makes and knows the cookie's value: tokens, the newest first.

    `key` signs them, `lifetime` is theirs in seconds, `clock` counts seconds since the epoch. A
    token ends with the password it was given for: `password` is always a hash.
    """

    def __init__(self, key: bytes, *, lifetime: float, clock: Callable[[], float]) -> None:
        self._key = key
        self.lifetime = lifetime
        self._clock = clock

    def find(self, cookie: str, login: str, password: str) -> str:
        """The name of the device, "" when it is not known for this account."""
        for each in _tokens(cookie):
            fits = hmac.compare_digest(
                each.tag, self._tag(each.until + each.nonce, login, password)
            )
            if fits and _TIME.unpack(each.until)[0] > self._clock():
                return each.nonce.hex()
        return ""

    def remember(self, cookie: str, login: str, known: str, password: str) -> str:
        """The cookie's new value once somebody has signed in; `known` is the hash until now."""
        old = self.find(cookie, login, known)
        others = [each.written for each in _tokens(cookie) if each.nonce.hex() != old]
        said = _TIME.pack(int(self._clock() + self.lifetime)) + secrets.token_bytes(_NONCE)
        made = base64.urlsafe_b64encode(said + self._tag(said, login, password)).decode()
        return "~".join([made.rstrip("="), *others][:KEPT])

    def _tag(self, said: bytes, login: str, password: str) -> bytes:
        parts = (
            said,
            *(
                hashlib.sha256(each.encode("utf-8", "surrogatepass")).digest()
                for each in (login, password)
            ),
        )
        return hmac.digest(self._key, b"".join(parts), "sha256")

    def __repr__(self) -> str:
        return "Devices()"


def _tokens(cookie: str) -> Iterator[_Token]:
    for written in cookie.split("~", KEPT)[:KEPT]:
        if len(written) != _WRITTEN or not written.isascii():
            continue
        try:
            raw = base64.b64decode(written + "=" * (-len(written) % 4), b"-_", validate=True)
        except ValueError:
            continue
        until, nonce, tag = raw[: _TIME.size], raw[_TIME.size : -32], raw[-32:]
        yield _Token(written, until, nonce, tag)
