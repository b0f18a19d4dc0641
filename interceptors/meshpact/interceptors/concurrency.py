"""The cap on calls of a method that run at once in one process."""

from __future__ import annotations

from threading import Lock
from typing import Final

from meshpact.interceptors import errors
from meshpact.interceptors.errors import StatusError

RETRY_AFTER: Final = 0.1
"""Seconds after which a refused caller may try again."""


class Slots:
    """Counts running calls. `release` gives back what one successful `acquire` took."""

    __slots__ = ("_lock", "limit", "running")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.running = 0
        self._lock = Lock()

    def acquire(self) -> bool:
        """Takes a slot; False when all are taken."""
        with self._lock:
            if self.running >= self.limit:
                return False
            self.running += 1
            return True

    def release(self) -> None:
        """Gives a slot back."""
        with self._lock:
            self.running -= 1


def overloaded(limit: int) -> StatusError:
    """The refusal of a call beyond the cap."""
    return StatusError(
        errors.OVERLOADED.code,
        f"Overloaded: {limit} calls of this method are running, as many as may",
        reason=errors.OVERLOADED.name,
        domain=errors.DOMAIN,
        retry_after=RETRY_AFTER,
    )
