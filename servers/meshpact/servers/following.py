"""Keeps something up to date by another service's events, for as long as the process runs.

The other service streams events after a revision; what was taken in, and up to which revision,
stands in a database here, written in one transaction. A stream that ends is opened again from
there: nothing is lost and nothing taken twice, whoever restarts.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable
from typing import Final, Generic, TypeVar

from meshpact.interceptors.errors import Code, MeshpactError, StatusError

M = TypeVar("M")
log = logging.getLogger(__name__)

PAUSE: Final = 0.1
"""Seconds before a stream that ended is opened again; each further pause is twice as long."""
PAUSE_AT_MOST: Final = 5.0


class Gap(MeshpactError):
    """Events do not go on where those before them ended. Raise it in `take`: the stream is opened
    again from the position that is written down.
    """


class Follower(Generic[M]):
    """Follows one stream. `what` names it in the log; `position` tells the last revision taken in;
    `open_` opens the stream after it; `take` takes a message in, with the new position, in one
    transaction. Failures are logged once each until it goes on, and tried again.
    """

    def __init__(
        self,
        what: str,
        *,
        position: Callable[[], Awaitable[int]],
        open_: Callable[[int], AsyncIterable[M]],
        take: Callable[[M], Awaitable[object]],
        pause: float = PAUSE,
        pause_at_most: float = PAUSE_AT_MOST,
    ) -> None:
        self._what = what
        self._position = position
        self._open = open_
        self._take = take
        self._pause = pause
        self._pause_at_most = pause_at_most
        self._said = ""
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begins, in no call; the other service need not be there yet."""
        self._task = asyncio.create_task(self._run(), name=f"follower of {self._what}")

    async def close(self) -> None:
        """Ends; what was taken in is whole."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        pause = self._pause
        while True:
            try:
                stream = self._open(await self._position())
                try:
                    async for message in stream:
                        await self._take(message)
                        pause = self._pause
                        self._goes_on()
                finally:
                    if isinstance(stream, AsyncGenerator):
                        await stream.aclose()
            except Exception as error:
                self._failed(error)
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - no secret
            pause = min(pause * 2, self._pause_at_most)

    def _goes_on(self) -> None:
        if self._said:
            self._said = ""
            log.info("%s: followed again", self._what)

    def _failed(self, error: Exception) -> None:
        words = f"{type(error).__name__}: {error}"
        if words == self._said:
            return
        self._said = words
        if isinstance(error, StatusError) and error.code is Code.OUT_OF_RANGE:
            log.error("%s: cannot be followed any further: %s", self._what, words)
        elif isinstance(error, MeshpactError):
            log.warning("%s: not followed now: %s", self._what, words)
        else:
            log.exception("%s: an event could not be taken in", self._what)
