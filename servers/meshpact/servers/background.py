"""Work in the background of a process: begun when it is ready, ended before its databases close.

Work is a coroutine function. What it raises is logged and tried again with growing pauses; no fault
ends it. `ServiceContext.background` makes a Job of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import logging
import random
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Final

from meshpact.interceptors.errors import MeshpactError

log = logging.getLogger(__name__)

Work = Callable[[], Awaitable[object]]

PAUSE: Final = 0.1
"""Seconds before a failed round is tried again; each further pause is twice as long."""
PAUSE_AT_MOST: Final = 30.0
PATIENCE: Final = 30.0
"""Seconds for which work may fail before that counts."""
END_WITHIN: Final = 10.0
"""Seconds that cancelled work has to end."""


class CannotGoOn(MeshpactError):
    """No further try will mend it. Raised in work it counts at once and is logged as an error; the
    work is tried again all the same."""


_running: ContextVar[Job] = ContextVar("meshpact.job")


def goes_well() -> None:
    """Called in work that runs on and on, whenever it got on: the next failure is a first one
    again. Outside of a job it does nothing."""
    job = _running.get(None)
    if job is not None:
        job.goes_well()


class Job:
    """Work that is done again and again, one round at a time, from `start` to `close`.

    A round that ends well is followed by the next one after `every` seconds; with None there is
    none, the work is done. One that fails is tried again after `pause` seconds, then twice as long
    and so on up to `pause_at_most` (each shortened at random by up to a half). `told` hears whether
    it is well: it is not once it has failed for `patience` seconds without a round that went well.
    A round that lasts for `pause_at_most` goes well so far. Times go by the event loop's clock.
    """

    def __init__(
        self,
        name: str,
        work: Work,
        *,
        every: float | None = None,
        pause: float = PAUSE,
        pause_at_most: float = PAUSE_AT_MOST,
        patience: float = PATIENCE,
        told: Callable[[bool], object] | None = None,
    ) -> None:
        for what, seconds in (("every", every), ("pause", pause), ("patience", patience)):
            if seconds is not None and not seconds >= 0:
                raise ValueError(f"{name}: {what} is {seconds!r}; allowed: 0 or more seconds")
        if pause_at_most < pause:
            raise ValueError(f"{name}: pause_at_most is {pause_at_most!r}, below pause, {pause!r}")
        self.name = name
        self._work = work
        self._every = every
        self._first_pause = pause
        self._pause = pause
        self._pause_at_most = pause_at_most
        self._patience = patience
        self._told = told
        self._task: asyncio.Task[None] | None = None
        self._due = asyncio.Event()
        self._begun = 0
        self._waiting: list[tuple[int, asyncio.Future[None]]] = []
        self._failing_since: float | None = None
        self._was_well = False
        self._said: tuple[str, int] | None = None

    def start(self) -> None:
        """Begins with a round, in no call; does nothing when it has begun."""
        if self._task is None:
            self._tell(True)
            self._task = asyncio.create_task(
                self._run(), name=f"background: {self.name}", context=contextvars.Context()
            )
            self._task.add_done_callback(self._ended)

    def wake(self) -> None:
        """Has the next round begin at once, or as soon as the one that runs has ended."""
        self._due.set()

    async def run_now(self) -> None:
        """Has a round begin as `wake` does, and returns when it has ended. Raises what it raised,
        RuntimeError when there is no further round."""
        ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self._task is not None and self._task.done():
            raise self._over()
        self._waiting.append((self._begun + 1, ended))
        self.start()
        self._due.set()
        await ended

    def goes_well(self) -> None:
        """As the function `goes_well`, for this job."""
        self._pause, self._failing_since, self._was_well = self._first_pause, None, True
        if self._said is not None:
            self._said = None
            log.info("%s: goes on", self.name)
        self._tell(True)

    async def close(self) -> None:
        """Ends it, and waits until it has ended, END_WITHIN at most."""
        if self._task is not None:
            if not self._task.cancelling():
                self._task.cancel()
            _, late = await asyncio.wait({self._task}, timeout=END_WITHIN)
            if late:
                log.error("%s: does not end, it is left alone", self.name)

    async def _run(self) -> None:
        _running.set(self)
        while True:
            self._due.clear()
            self._begun += 1
            error = await self._round()
            if error is None:
                self.goes_well()
            else:
                self._failed(error)
            self._answer(error)
            wait = self._every
            if error is not None:
                wait = self._pause * random.uniform(0.5, 1.0)  # noqa: S311 - no secret
                self._pause = min(self._pause * 2, self._pause_at_most)
            if wait is None:
                return
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._due.wait()

    async def _round(self) -> BaseException | None:
        lasting = asyncio.get_running_loop().call_later(self._pause_at_most, self.goes_well)
        try:
            await self._work()
        except asyncio.CancelledError as error:
            # Its own end, unless what it waited for was cancelled by somebody else.
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            return error
        except Exception as error:
            return error
        finally:
            lasting.cancel()
        return None

    def _failed(self, error: BaseException) -> None:
        now = asyncio.get_running_loop().time()
        if self._failing_since is None:
            self._failing_since = now
        lasts = now - self._failing_since >= self._patience
        expected = isinstance(error, MeshpactError | OSError)
        hopeless = isinstance(error, CannotGoOn)
        if lasts or hopeless:
            self._tell(False)
        words = f"{type(error).__name__}: {error}"
        if hopeless or not expected:
            level = logging.ERROR
        elif lasts or self._was_well:
            level = logging.WARNING
        else:
            level = logging.INFO  # what it needs may still be starting
        if self._said == (words, level):
            return
        self._said = (words, level)
        log.log(
            level,
            "%s: failed, tried again within %g s: %s",
            self.name,
            self._pause,
            words,
            exc_info=None if expected else error,
        )

    def _answer(self, error: BaseException | None) -> None:
        due = [each for number, each in self._waiting if number <= self._begun]
        self._waiting = [each for each in self._waiting if each[0] > self._begun]
        for each in due:
            if each.done():
                continue
            if error is None:
                each.set_result(None)
            elif isinstance(error, asyncio.CancelledError):
                each.set_exception(RuntimeError(f"{self.name}: what it waited for was cancelled"))
            else:
                each.set_exception(error)

    def _ended(self, _task: asyncio.Task[None]) -> None:
        for _, each in self._waiting:
            if not each.done():
                each.set_exception(self._over())
        self._waiting = []

    def _over(self) -> RuntimeError:
        return RuntimeError(f"{self.name} has ended: there is no further round")

    def _tell(self, well: bool) -> None:
        if self._told is not None:
            self._told(well)


class Background:
    """The jobs of one process, by name."""

    def __init__(self) -> None:
        self._jobs: dict[str, Job] = {}
        self._ready = False

    def add(self, job: Job) -> Job:
        """Begins with a job when the process is ready. ValueError when its name is taken."""
        if job.name in self._jobs:
            raise ValueError(f"two jobs are named {job.name!r}: give each a name of its own")
        self._jobs[job.name] = job
        if self._ready:
            job.start()
        return job

    def job(self, name: str) -> Job:
        """A job by its name; ValueError when there is none."""
        if name not in self._jobs:
            known = ", ".join(sorted(self._jobs)) or "none"
            raise ValueError(f"found {name!r}; jobs in the background: {known}")
        return self._jobs[name]

    def begin(self) -> None:
        """The process is ready: all jobs begin, and those that come later do at once."""
        self._ready = True
        for job in self._jobs.values():
            job.start()

    async def close(self) -> None:
        """Ends all jobs, together."""
        self._ready = False
        await asyncio.gather(*(job.close() for job in self._jobs.values()))
