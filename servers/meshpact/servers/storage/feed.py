"""Follows an outbox: every event, once and in order, from a revision on and without end."""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections.abc import AsyncGenerator, Callable
from typing import Final

from sqlalchemy import Connection

from meshpact.servers.storage.database import StorageUnavailable
from meshpact.servers.storage.outbox import Entry, Head, Outbox

log = logging.getLogger(__name__)

BATCH: Final = 200
"""Events handed out at once, at most."""
POLL_SQLITE: Final = 0.2
"""Seconds between two looks for what other processes wrote: SQLite has no signal for that."""
POLL_POSTGRES: Final = 5.0
"""Postgres tells at once; this is for the case that its word gets lost."""


class ChangeFeed:
    """Follows one outbox for any number of readers in this process; they share what they read."""

    def __init__(self, outbox: Outbox, *, batch: int = BATCH, poll: float | None = None) -> None:
        self.outbox = outbox
        self._database = outbox.database
        self._batch = batch
        default = POLL_SQLITE if self._database.sqlite else POLL_POSTGRES
        self._poll = default if poll is None else poll
        self._reading: dict[int, asyncio.Task[list[Entry]]] = {}
        self._followers = 0
        self._poller: asyncio.Task[None] | None = None

    async def head(self) -> Head:
        """What there is to follow. A snapshot read together with its revision is
        `database.read` with `outbox.head` in the same work."""
        return await self._database.read(self.outbox.head)

    async def follow(self, after: int) -> AsyncGenerator[list[Entry]]:
        """All events after a revision in batches, and then those to come as they are committed.

        Raises RevisionGone when they cannot be had (any more), also later for a reader who is
        overtaken by pruning, and StorageUnavailable: follow again from the last revision seen.
        Close it (`contextlib.aclosing`) when you leave early.
        """
        with self._database.listen(self.outbox.channel) as signal:
            self._enter()
            try:
                while True:
                    found = await self._read(after)
                    if found:
                        yield found
                        after = found[-1].revision
                    if len(found) < self._batch:
                        await signal.wait()
            finally:
                await self._leave()

    async def _read(self, after: int) -> list[Entry]:
        """Those who are at the same revision read once."""
        running = self._reading.get(after)
        if running is not None:
            found = await asyncio.shield(running)
            if found:
                return found
            # It may have begun before the word came that something is there: the next one has not.
            running = self._reading.get(after)
            if running is not None:
                return await asyncio.shield(running)
        task = asyncio.create_task(self._database.read(self._look(after)))
        self._reading[after] = task
        task.add_done_callback(lambda done: self._forget(after, done))
        return await asyncio.shield(task)

    def _look(self, after: int) -> Callable[[Connection], list[Entry]]:
        return lambda connection: self.outbox.after(connection, after, self._batch)

    def _forget(self, after: int, task: asyncio.Task[list[Entry]]) -> None:
        if self._reading.get(after) is task:
            del self._reading[after]
        if not task.cancelled():
            task.exception()  # whoever waits has it; nobody may

    def _enter(self) -> None:
        self._followers += 1
        if self._poller is None:
            # In no call: it outlives the one that follows first.
            self._poller = asyncio.create_task(
                self._look_now_and_then(), name="outbox-poller", context=contextvars.Context()
            )

    async def _leave(self) -> None:
        self._followers -= 1
        if not self._followers and self._poller is not None:
            poller, self._poller = self._poller, None
            poller.cancel()
            await asyncio.wait({poller})  # whoever is cancelled meanwhile hears of it

    async def _look_now_and_then(self) -> None:
        seen = -1
        while True:
            try:
                newest = (await self.head()).newest
            except StorageUnavailable:
                newest = seen
            except Exception:
                newest = -2  # followers look for themselves, and say what they find
            if newest != seen:
                seen = newest
                self._database.signals.say([self.outbox.channel])
            await asyncio.sleep(self._poll)
