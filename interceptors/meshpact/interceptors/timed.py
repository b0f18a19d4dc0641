"""Work on threads that ends in time for the one who waits, even when it does not end.

A thread cannot be stopped: work that overruns keeps its thread until it returns, but whoever waited
is answered, and what it still gives is thrown away.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from threading import Lock, Thread
from typing import Any, Final

MAX_OVERRUNNING: Final = 64
"""Overrunning pieces of work beside which no further one is begun."""


class Overran(Exception):
    """The time was up before the work was done."""


class Busy(Exception):
    """So much work overruns that no more is begun."""


class TimedThreads:
    """Daemon threads, made as they are needed and used again; none outlives the process."""

    def __init__(self, max_overrunning: int = MAX_OVERRUNNING) -> None:
        self._idle: list[_Worker] = []
        self._lock = Lock()
        self._limit = max_overrunning
        self._overrunning = 0

    def run(self, until: float, work: Callable[..., Any], /, *arguments: Any) -> Any:
        """What `work` gives or raises, if it does so until a time of `time.monotonic`.

        Raises Overran when it does not, and Busy without beginning when too much overruns.
        """
        with self._lock:
            if self._overrunning >= self._limit:
                raise Busy
            worker = self._idle.pop() if self._idle else _Worker(self._idle.append)
        done: Future[Any] = Future()
        worker.begin(done, lambda: work(*arguments))
        try:
            return done.result(max(0.0, until - time.monotonic()))
        except TimeoutError:
            if done.done():
                raise
            with self._lock:
                self._overrunning += 1
            done.add_done_callback(self._ended)
            raise Overran from None

    def _ended(self, _: object) -> None:
        with self._lock:
            self._overrunning -= 1


class _Worker:
    def __init__(self, idle: Callable[[_Worker], None]) -> None:
        self._jobs: SimpleQueue[tuple[Future[Any], Callable[[], Any]]] = SimpleQueue()
        self._idle = idle
        Thread(target=self._serve, name="meshpact-timed", daemon=True).start()

    def begin(self, done: Future[Any], work: Callable[[], Any]) -> None:
        self._jobs.put((done, work))

    def _serve(self) -> None:
        while True:
            done, work = self._jobs.get()
            try:
                result = work()
            except BaseException as error:
                self._idle(self)
                done.set_exception(error)
                error = None  # type: ignore[assignment]  # nothing of the call stays with the thread
            else:
                self._idle(self)
                done.set_result(result)
            del done, work
            result = None
