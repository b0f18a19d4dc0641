"""Which browsers are known: device cookies, as OWASP has them against lockouts of others.

Whoever signs in gets a signed token for this account and browser. A try that brings one is counted
for the device alone, so that no stranger's guesses keep it out. It is good for nothing else.
https://owasp.org/www-community/Slow_Down_Online_Guessing_Attacks_with_Device_Cookies
"""

from __future__ import annotations

import hashlib
import secrets
import struct
from collections.abc import Callable
from typing import Final, NamedTuple

from itsdangerous import BadData, Signer
from itsdangerous.encoding import base64_decode, base64_encode

KEPT: Final = 4
"""Accounts that one browser is known for; the one that signed in longest ago makes room."""
LONGEST: Final = 100
"""Characters of one token; a longer one is not ours."""
_SAID: Final = struct.Struct(">Q16s")
"""Until when a token is good, in seconds since the epoch, and the name of the device."""


class _Known(NamedTuple):
    written: str
    name: str


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
        known = self._known(cookie, login, password)
        return "" if known is None else known.name

    def remember(self, cookie: str, login: str, known: str, password: str) -> str:
        """The cookie's new value once somebody has signed in; `known` is the hash until now."""
        old = self._known(cookie, login, known)
        others = [each for each in _tokens(cookie) if old is None or each != old.written]
        said = _SAID.pack(int(self._clock() + self.lifetime), secrets.token_bytes(16))
        made = self._signer(login, password).sign(base64_encode(said)).decode()
        return "~".join([made, *others][:KEPT])

    def _known(self, cookie: str, login: str, password: str) -> _Known | None:
        signer = self._signer(login, password)
        for each in _tokens(cookie):
            try:
                until, name = _SAID.unpack(base64_decode(signer.unsign(each)))
            except BadData:
                continue
            if until > self._clock():
                return _Known(each, name.hex())
        return None

    def _signer(self, login: str, password: str) -> Signer:
        """One whose tokens are good for this account and password, and nothing else."""
        of = (
            hashlib.sha256(each.encode("utf-8", "surrogatepass")).hexdigest()
            for each in (login, password)
        )
        return Signer(self._key, f"device {' '.join(of)}", digest_method=hashlib.sha256)

    def __repr__(self) -> str:
        return "Devices()"


def _tokens(cookie: str) -> list[str]:
    parts = cookie.split("~", KEPT)[:KEPT]
    return [each for each in parts if 0 < len(each) <= LONGEST and each.isascii()]
