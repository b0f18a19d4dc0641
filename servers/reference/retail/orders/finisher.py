"""Finishes what a call left unfinished: it ran out of time, or another service was down.

It works outside of any call, with deadlines of its own: it tries an order again after growing
pauses, then undoes it; returns it tries until they are in.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from meshpact.interceptors.errors import MeshpactError
from reference.retail.orders.partners import Refused
from reference.retail.orders.saga import Saga

log = logging.getLogger(__name__)

PAUSE: Final = 0.2
"""Seconds before the second try; each further pause is twice as long."""
PAUSE_AT_MOST: Final = 10.0
TRIES: Final = 6
"""Tries to finish an order before it is undone."""


class Finisher:
    """Its `run` is for the background. `pause` and `tries` as PAUSE and TRIES."""

    def __init__(self, saga: Saga, *, pause: float = PAUSE, tries: int = TRIES) -> None:
        self._saga = saga
        self._pause = pause
        self._tries = tries
        self._wanted: asyncio.Queue[tuple[str, bool]] = asyncio.Queue()
        self._known: set[str] = set()
        self._idle = asyncio.Event()

    async def run(self) -> None:
        """Takes up what stands unfinished in the book, then what is asked for, until it is
        cancelled; what is unfinished then stands in the book."""
        for name in await self._saga.book.unfinished():
            self.order(name)
        for name in await self._saga.returns.unfinished():
            self.goods(name)
        if not self._known:
            self._idle.set()
        async with asyncio.TaskGroup() as jobs:
            while True:
                name, goods = await self._wanted.get()
                # Made here, so that it inherits no call, no deadline and no trace.
                jobs.create_task(self._finish(name, goods))

    async def idle(self) -> None:
        """Returns when it runs, and all that was asked for is finished."""
        await self._idle.wait()

    def order(self, name: str) -> None:
        """Asks for an order to be finished."""
        self._want(name, goods=False)

    def goods(self, name: str) -> None:
        """Asks for a return to be finished."""
        self._want(name, goods=True)

    def _want(self, name: str, *, goods: bool) -> None:
        if name not in self._known:
            self._known.add(name)
            self._idle.clear()
            self._wanted.put_nowait((name, goods))

    async def _finish(self, name: str, goods: bool) -> None:
        pause, tries = self._pause, 0
        step: Callable[[str], Awaitable[object]] = self._bring_back if goods else self._saga.advance
        try:
            while not await self._tried(step, name, tries):
                tries += 1
                if tries == self._tries and not goods:
                    log.warning("%s cannot be finished: it is undone", name)
                    step = self._saga.give_up
                await asyncio.sleep(pause)
                pause = min(pause * 2, PAUSE_AT_MOST)
        finally:
            self._known.discard(name)
            if not self._known:
                self._idle.set()

    async def _tried(
        self, step: Callable[[str], Awaitable[object]], name: str, before: int
    ) -> bool:
        try:
            await step(name)
        except (MeshpactError, Refused) as problem:
            if not before:  # in an outage there are many, and each is tried again and again
                log.info("%s is not finished yet: %s", name, problem)
            return False
        except Exception:
            log.exception("%s is not finished yet", name)
            return False
        return True

    async def _bring_back(self, name: str) -> None:
        back = await self._saga.returns.find(name)
        if back is not None:
            await self._saga.bring_back(back)
