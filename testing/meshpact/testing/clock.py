"""A clock that tests move: limits, tokens and timers of asyncio go by it."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Generator


class Clock:
    """Real time plus what it was advanced by. It never goes back.

    A mesh of tests reads its rate limits, its tokens and its audit trail's times from it, and the
    event loop that it is attached to reads its timers from it: `asyncio.sleep`, `asyncio.timeout`,
    the maximum deadlines of contracts. Deadlines that callers set are kept by grpc's own timers,
    certificates by real time.
    """

    def __init__(self) -> None:
        self._ahead = 0.0
        self._stopped: tuple[float, float] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def monotonic(self) -> float:
        """Seconds, as `time.monotonic`."""
        return (self._stopped[0] if self._stopped else time.monotonic()) + self._ahead

    def time(self) -> float:
        """Seconds since the epoch, as `time.time`."""
        return (self._stopped[1] if self._stopped else time.time()) + self._ahead

    def advance(self, seconds: float) -> None:
        """Let time pass; timers that are due by then run at once. ValueError to go back."""
        if not seconds >= 0:
            raise ValueError(f"found {seconds!r}; a clock is advanced by 0 or more seconds")
        self._ahead += seconds
        if self._loop is not None:
            self._loop.call_soon_threadsafe(_awake)

    @contextlib.contextmanager
    def still(self) -> Generator[None]:
        """Time stands still while the context lasts, but for `advance`: calls meet a rate limit
        however slowly they are made. Timers that fall due meanwhile run afterwards.
        """
        self._stopped = time.monotonic(), time.time()
        try:
            yield
        finally:
            self._stopped = None
            self.advance(0)

    def attach(self, loop: asyncio.AbstractEventLoop) -> None:
        """Let the timers of a loop go by this clock.

        TypeError for a loop whose time is fixed, such as uvloop's.
        """
        try:
            loop.time = self.monotonic  # type: ignore[method-assign]
        except AttributeError:
            raise TypeError(
                f"the time of {type(loop).__name__} cannot be moved: run the test on asyncio's own "
                "event loop"
            ) from None
        self._loop = loop

    def detach(self) -> None:
        """Give the loop its own time back. Timers that still wait are due later by what passed."""
        if self._loop is not None:
            del self._loop.time
            self._loop = None


def _awake() -> None:
    """Makes a loop look at its timers."""
