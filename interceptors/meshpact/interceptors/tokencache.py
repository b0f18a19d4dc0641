"""Tokens that were verified, by their SHA-256: a bounded number, never past what they rest on."""

from __future__ import annotations

from threading import Lock
from typing import Final, Protocol

import msgspec

from meshpact.interceptors.call import EndUser

ENTRIES: Final = 10_000


class Grounds(Protocol):
    """What a verification rests on: it holds for as long as this gives the same object."""

    def current(self) -> object:
        """What there is now."""
        ...


class _Forever:
    def current(self) -> object:
        return None


class Verified(msgspec.Struct, frozen=True, gc=False):
    """What a token proves: who the user is, until when, and by which keys."""

    user: EndUser
    thumbprint: str
    """The certificate that it is bound to (`x5t#S256`), "" for none."""
    until: float
    """Seconds since the epoch."""
    grounds: Grounds = _Forever()
    keys: object = None

    @property
    def holds(self) -> bool:
        """Whether the keys are those that verified it."""
        return self.grounds.current() is self.keys

    def __repr__(self) -> str:
        return "Verified()"


class TokenCache:
    """The oldest entry makes room for a new one."""

    def __init__(self, entries: int = ENTRIES) -> None:
        self._entries = entries
        self._found: dict[bytes, Verified] = {}
        self._lock = Lock()

    def get(self, digest: bytes) -> Verified | None:
        """What was found for a token; nothing once the keys have changed."""
        known = self._found.get(digest)
        if known is not None and not known.holds:
            with self._lock:
                self._found.pop(digest, None)
            return None
        return known

    def put(self, digest: bytes, found: Verified) -> None:
        """Remembers what was found."""
        with self._lock:
            self._found.pop(digest, None)
            while len(self._found) >= self._entries:
                self._found.pop(next(iter(self._found)), None)
            self._found[digest] = found

    def __len__(self) -> int:
        return len(self._found)
