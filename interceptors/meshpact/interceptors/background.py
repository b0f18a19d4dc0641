"""Work that no call waits for: one loop on one daemon thread does it for the whole process.

Servers on asyncio and on threads share it, and neither's loop ever pays for TLS contexts, names
that do not resolve, slow disks, or the start of a thread.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from threading import Lock, Thread
from typing import Any, Final

WAIT: Final = 15.0
"""Seconds for which a thread waits at most, whatever it waits for."""


class Landing:
    """The end of work that is under way, for any number of calls to wait for.

    The work must raise nothing, end in bounded time, and not block for long.
    """

    def __init__(self, work: Coroutine[Any, Any, None]) -> None:
        self._end: Future[None] = _thread.run(work)

    @property
    def over(self) -> bool:
        """Whether it has come."""
        return self._end.done()

    def refresh(self) -> None:
        """Blocks until it comes, for a bounded time."""
        with contextlib.suppress(TimeoutError):
            self._end.result(WAIT)

    async def refresh_async(self) -> None:
        """The same on a loop; who is cancelled here cancels nobody else."""
        await asyncio.shield(asyncio.wrap_future(self._end))


class Flight:
    """One piece of work at a time: whoever asks while it is under way waits for the same end."""

    def __init__(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self._work = work
        self._lock = Lock()
        self._landing: Landing | None = None

    @property
    def under_way(self) -> bool:
        """Whether it runs."""
        return self._landing is not None and not self._landing.over

    def start(self) -> Landing:
        """Starts the work unless it runs; its end."""
        with self._lock:
            if self._landing is None or self._landing.over:
                self._landing = Landing(self._work())
            return self._landing


class _LoopThread:
    """The loop; its thread begins with the first work."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._loop: asyncio.AbstractEventLoop | None = None

    def run(self, work: Coroutine[Any, Any, None]) -> Future[None]:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                name = "meshpact-background"
                Thread(target=self._loop.run_forever, name=name, daemon=True).start()
            return asyncio.run_coroutine_threadsafe(work, self._loop)


_thread: Final = _LoopThread()
