"""What happens at the wrong moment: a database closes, a follower leaves, nothing is there."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

import pytest
from sqlalchemy import Connection, select, text
from sqlalchemy.exc import DBAPIError

from databases import NewUrl
from meshpact.servers.storage.database import Database, StorageUnavailable
from meshpact.servers.storage.feed import ChangeFeed
from toolkit.numbered import add, metadata, numbers
from toolkit.outboxworld import Receiver, World, dispatching, next_of, position, said


def the_first(connection: Connection) -> int:
    """The first of no numbers: StopIteration."""
    none = select(numbers.c.number).where(numbers.c.number < 0)
    return int(next(iter(connection.execute(none).scalars())))


@pytest.fixture
async def world(database: Database) -> World:
    made = World(database)
    await database.migrate(made.metadata.create_all)
    return made


async def test_what_comes_while_a_database_closes_is_refused_and_does_not_wait_for_ever(
    new_url: NewUrl,
) -> None:
    database = Database(new_url())
    await database.migrate(metadata.create_all)
    closing = asyncio.create_task(database.close())
    await asyncio.sleep(0)
    for attempt in (database.write(add(1)), database.read(the_first)):
        with pytest.raises(StorageUnavailable):
            await asyncio.wait_for(attempt, 30)
    await closing
    with pytest.raises(StorageUnavailable):
        await asyncio.wait_for(database.write(add(2)), 30)


async def test_work_that_ends_an_iteration_fails_alone(database: Database) -> None:
    await database.migrate(metadata.create_all)
    with pytest.raises(RuntimeError):
        await asyncio.wait_for(database.read(the_first), 30)
    works = [the_first, the_first, add(1)]
    ended = asyncio.gather(*map(database.write, works), return_exceptions=True)
    assert [type(end).__name__ for end in await asyncio.wait_for(ended, 30)] == [
        "RuntimeError",
        "RuntimeError",
        "int",
    ]


async def test_followers_who_are_woken_for_nothing_look_together(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[object] = []
    read = world.database.read

    async def counted(work: Callable[[Connection], object]) -> object:
        reads.append(work)
        return await read(work)

    monkeypatch.setattr(world.database, "read", counted)
    feed = ChangeFeed(world.outbox, poll=3600)
    followers = [asyncio.create_task(world.take(1, feed=feed)) for _ in range(50)]
    for _ in range(5):
        before = len(reads)
        world.database.signals.say([world.outbox.channel])
        while len(reads) == before:
            await world.database.write(lambda _connection: None)
        await world.feed.head()
    await world.add("a")
    assert all(said(each) == ["a"] for each in await asyncio.gather(*followers))
    assert len(reads) < 40


async def test_a_follower_that_cannot_look_says_so_and_does_not_wait_for_ever(
    world: World,
) -> None:
    def rename(of: str, to: str) -> Callable[[Connection], None]:
        def work(connection: Connection) -> None:
            connection.execute(text(f"ALTER TABLE {of} RENAME TO {to}"))

        return work

    feed = ChangeFeed(world.outbox, poll=0.001)
    async with contextlib.aclosing(feed.follow(0)) as batches:
        waiting = asyncio.create_task(next_of(batches))
        await world.database.write(rename("outbox_head", "elsewhere"))
        with pytest.raises(DBAPIError):
            await asyncio.wait_for(waiting, 30)
    await world.database.write(rename("elsewhere", "outbox_head"))
    assert await world.add("a") == 1
    assert said(await world.take(1, feed=feed)) == ["a"]


async def test_what_was_never_delivered_yet_is_not_pruned(world: World) -> None:
    receiver = Receiver(fails=10**9)
    await world.add("a", "b")
    async with dispatching(world, receiver):
        while receiver.fails == 10**9:
            await position(world)
    world.now += 100
    assert await world.prune(older_than=50, needed=await position(world)) == 0


async def test_a_dispatcher_ends_whenever_it_is_told_to(world: World) -> None:
    await world.add("a")
    for _ in range(20):
        receiver = Receiver(fails=10**9)
        async with dispatching(world, receiver):
            while receiver.fails == 10**9:
                await position(world)
