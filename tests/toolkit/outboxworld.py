"""An outbox in a database, with those who write, follow and deliver, and a time of its own."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Sequence

from sqlalchemy import Connection, MetaData

from meshpact.servers.storage.database import Database
from meshpact.servers.storage.dispatcher import Dispatcher, Positions
from meshpact.servers.storage.feed import ChangeFeed
from meshpact.servers.storage.outbox import Entry, Event, Outbox


class Broken(Exception):
    """Work or delivery failed."""


class World:
    """An outbox in a database; `now` is the time it goes by."""

    def __init__(self, database: Database) -> None:
        self.now = 1_000_000.0
        self.database = database
        self.metadata = MetaData()
        self.outbox = Outbox(database, self.metadata, clock=lambda: self.now)
        self.positions = Positions(self.metadata)
        self.feed = ChangeFeed(self.outbox, batch=7)

    async def add(self, *payloads: str, fail: bool = False) -> int:
        def work(connection: Connection) -> int:
            newest = self.outbox.append(
                connection, [Event("said", payload.encode()) for payload in payloads]
            )
            if fail:
                raise Broken
            return newest

        return await self.database.write(work)

    async def prune(self, older_than: float, needed: Sequence[int] = ()) -> int:
        return await self.database.write(
            lambda connection: self.outbox.prune(connection, older_than=older_than, needed=needed)
        )

    async def take(self, count: int, after: int = 0, feed: ChangeFeed | None = None) -> list[Entry]:
        """The next `count` events after a revision."""
        found: list[Entry] = []
        async with contextlib.aclosing((feed or self.feed).follow(after)) as batches:
            while len(found) < count:
                found += await asyncio.wait_for(next_of(batches), 30)
        return found


class Receiver:
    """Where events are delivered. `fails` deliveries fail; `whole` of them after all was taken."""

    def __init__(self, fails: int = 0, whole: bool = False) -> None:
        self.got: list[Entry] = []
        self.fails = fails
        self.whole = whole
        self.enough = asyncio.Event()
        self.expected = 0

    async def __call__(self, batch: Sequence[Entry]) -> None:
        if self.fails and not self.whole:
            self.fails -= 1
            raise Broken("no answer")
        self.got += batch
        if self.fails:
            self.fails -= 1
            raise Broken("answer lost")
        if self.got and self.got[-1].revision >= self.expected:
            self.enough.set()


async def next_of(batches: AsyncIterator[list[Entry]]) -> list[Entry]:
    return await anext(batches)


def said(entries: Sequence[Entry]) -> list[str]:
    return [entry.payload.decode() for entry in entries]


@contextlib.asynccontextmanager
async def dispatching(world: World, receiver: Receiver) -> AsyncGenerator[asyncio.Task[None]]:
    dispatcher = Dispatcher(world.feed, world.positions, "billing", receiver, pause=0.001)
    task = asyncio.create_task(dispatcher.run())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def position(world: World) -> list[int]:
    return await world.database.read(world.positions.all)
