"""What was kept long enough goes, in small transactions, and nobody who watches misses a change."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import (
    Column,
    Connection,
    Integer,
    MetaData,
    String,
    Table,
    func,
    insert,
    select,
    update,
)

from databases import NewUrl
from meshpact.mesh.config import load
from meshpact.mesh.state import State
from meshpact.servers.context import ServiceContext
from meshpact.servers.storage.database import Database, StorageUnavailable, Work
from meshpact.servers.storage.idempotency import idempotency_columns
from meshpact.servers.storage.outbox import Event, Head, RevisionGone
from meshpact.servers.storage.retention import Retention, retention_of
from meshpact.testing.clock import Clock
from toolkit.outboxworld import World, next_of, position, said

T = TypeVar("T")
Open = Callable[[str], Awaitable[Database]]

metadata = MetaData()
answers = Table("answers", metadata, *idempotency_columns())
things = Table(
    "things",
    metadata,
    Column("kind", String(10), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("ends", Integer, nullable=False, index=True),
)


class Counted(Database):
    """Notes what each transaction that writes gave."""

    gave: list[object]

    async def write(self, work: Work[T]) -> T:
        found = await super().write(work)
        self.gave.append(found)
        return found


@pytest.fixture
async def counted(new_url: NewUrl) -> Counted:
    made = Counted(new_url(), schema="toolkit")
    made.gave = []
    await made.migrate(metadata.create_all)
    return made


@pytest.fixture
async def world(database: Database) -> World:
    made = World(database)
    await database.migrate(made.metadata.create_all)
    return made


async def put(database: Database, *rows: tuple[str, int, int]) -> None:
    values = [{"kind": kind, "number": number, "ends": ends} for kind, number, ends in rows]
    await database.write(lambda connection: connection.execute(insert(things), values).rowcount)


async def left(database: Database, table: Table = things) -> int:
    count = select(func.count()).select_from(table)
    return await database.read(lambda connection: connection.execute(count).scalar_one())


async def test_rows_that_are_over_go_a_few_in_each_transaction(counted: Counted) -> None:
    await put(counted, *(("a", number, number) for number in range(25)), ("b", 1, 100), ("b", 2, 3))
    counted.gave.clear()
    retention = Retention(counted, at_once=10, clock=lambda: 50.0)
    retention.rows(things, lambda now: things.c.ends < now)
    assert await retention.prune() == {"things": 26}
    assert counted.gave == [10, 10, 6]
    assert await left(counted) == 1
    assert await retention.prune() == {"things": 0}
    await counted.close()


async def test_answers_go_when_their_time_is_over(counted: Counted) -> None:
    kept = [
        {
            "scope": "s",
            "request_id": str(number),
            "content": "",
            "kind": "k",
            "response": b"",
            "expires_at": number,
        }
        for number in range(6)
    ]
    await counted.write(lambda connection: connection.execute(insert(answers), kept).rowcount)
    retention = Retention(counted, clock=lambda: 3.0)
    retention.answers(answers)
    assert await retention.prune() == {"answers": 4}
    assert await left(counted, answers) == 2
    await counted.close()


async def test_a_row_that_is_changed_just_now_is_neither_waited_for_nor_lost(
    postgres: NewUrl, opened: Open
) -> None:
    url = postgres()
    one, other = await opened(url), await opened(url)
    await one.migrate(metadata.create_all)
    await put(one, ("a", 1, 1), ("a", 2, 1))
    retention = Retention(other, clock=lambda: 50.0)
    retention.rows(things, lambda now: things.c.ends < now)
    gone: list[dict[str, int]] = []

    def renew(connection: Connection) -> None:
        from sqlalchemy.util import await_only

        connection.execute(update(things).where(things.c.number == 1).values(ends=99))
        gone.append(await_only(retention.prune()))

    async with asyncio.timeout(30):
        await one.write(renew)
    assert gone == [{"things": 1}]
    assert await left(one) == 1


async def test_one_rule_that_fails_keeps_no_other_from_its_work(counted: Counted) -> None:
    await put(counted, ("a", 1, 1))

    def broken(_connection: Connection, _now: float, _most: int) -> int:
        raise StorageUnavailable("away")

    retention = Retention(counted, clock=lambda: 50.0)
    retention.rule("broken", broken)
    retention.rows(things, lambda now: things.c.ends < now)
    with pytest.raises(StorageUnavailable):
        await retention.prune()
    assert await left(counted) == 0
    await counted.close()


async def test_events_go_when_they_are_old_and_nobody_is_given_a_gap(world: World) -> None:
    await world.add(*(f"old {number}" for number in range(1, 8)))
    world.now += 100
    await world.add("young")
    retention = Retention(world.database, at_once=3, clock=lambda: world.now)
    retention.outbox(world.outbox, keep=50)
    async with contextlib.aclosing(world.feed.follow(7)) as at_the_end:
        assert await retention.prune() == {"outbox.outbox": 7}
        assert said(await next_of(at_the_end)) == ["young"]
    assert await world.feed.head() == Head(7, 8)
    with pytest.raises(RevisionGone, match="those after 7 up to 8 are there"):
        await world.take(1, after=6)
    assert said(await world.take(1, after=7)) == ["young"]


async def test_events_that_a_dispatcher_needs_stay_however_old_they_are(world: World) -> None:
    await world.add("one", "two", "three")
    await world.database.write(lambda c: world.positions.reach(c, "billing", 2))
    assert await position(world) == [2]
    world.now += 100
    retention = Retention(world.database, clock=lambda: world.now)
    retention.outbox(world.outbox, keep=50, positions=world.positions)
    assert await retention.prune() == {"outbox.outbox": 2}
    assert said(await world.take(1, after=2)) == ["three"]


async def test_a_service_prunes_in_the_background_as_mesh_yaml_says(
    new_url: NewUrl, tmp_path: Path
) -> None:
    (tmp_path / "mesh.yaml").write_text(
        "trust_domain: shop.example\n"
        f'services: {{ store: {{ factory: "shop:create", storage: "{new_url()}" }} }}\n'
        "databases: { prune_every: 1h, prune_at_once: 2, connections: 3 }\n"
    )
    clock = Clock()
    clock.attach(asyncio.get_running_loop())
    context = ServiceContext(
        config=load(tmp_path / "mesh.yaml"),
        service="store",
        state=State(tmp_path / "state").create(),
        root=tmp_path,
        addresses={},
    )
    database = Counted(context.storage, schema="toolkit")
    database.gave = []
    context.on_close(database.close)
    await database.migrate(metadata.create_all)
    retention = retention_of(context, database, clock=lambda: 50.0)
    retention.rows(things, lambda now: things.c.ends < now)
    job = retention.begin(context)
    try:
        context.ready()
        await job.run_now()
        await put(database, *(("a", number, 1) for number in range(3)))
        database.gave.clear()
        clock.advance(3599)
        await asyncio.sleep(0)
        assert await left(database) == 3
        clock.advance(2)
        async with asyncio.timeout(30):
            while await left(database):
                pass
        assert database.gave == [2, 1]
    finally:
        clock.detach()
        await context.aclose()


class Book:
    """A number a name, changed together with an event that tells of it."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._table = Table(
            "book",
            world.metadata,
            Column("name", String(10), primary_key=True),
            Column("value", Integer, nullable=False),
        )

    async def open(self) -> None:
        await self._world.database.migrate(self._world.metadata.create_all)
        empty = [{"name": name, "value": 0} for name in "abc"]
        await self._world.database.write(
            lambda connection: connection.execute(insert(self._table), empty).rowcount
        )

    async def add(self, name: str, more: int) -> None:
        def work(connection: Connection) -> None:
            mine = self._table.c.name == name
            connection.execute(
                update(self._table).where(mine).values(value=self._table.c.value + more)
            )
            self._world.outbox.append(connection, [Event(name, str(more).encode())])

        await self._world.database.write(work)

    def _look(self, connection: Connection) -> tuple[dict[str, int], int]:
        rows = connection.execute(select(self._table.c.name, self._table.c.value)).all()
        return {row.name: row.value for row in rows}, self._world.outbox.head(connection).newest

    async def snapshot(self) -> tuple[dict[str, int], int]:
        return await self._world.database.read(self._look)


class Watcher:
    """Keeps a copy of the book by its events; begins anew from a snapshot when it must."""

    def __init__(self, world: World, book: Book) -> None:
        self._world, self._book = world, book
        self.copy = dict.fromkeys("abc", 0)
        self.at = 0
        self.anew = 0

    async def watch(self, until: int, batches: int) -> None:
        """Follows for some batches, or up to a revision."""
        try:
            async with contextlib.aclosing(self._world.feed.follow(self.at)) as following:
                while self.at < until and batches:
                    for entry in await asyncio.wait_for(next_of(following), 30):
                        assert entry.revision == self.at + 1
                        self.copy[entry.kind] += int(entry.payload)
                        self.at = entry.revision
                    batches -= 1
        except RevisionGone:
            self.copy, self.at = await self._book.snapshot()
            self.anew += 1


def test_no_watcher_misses_or_repeats_a_change_while_events_are_pruned(new_url: NewUrl) -> None:
    @given(seed=st.integers(0, 2**16), keep=st.integers(0, 12), at_once=st.integers(1, 9))
    @settings(
        max_examples=5,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )
    def holds(seed: int, keep: int, at_once: int) -> None:
        asyncio.run(pruned_while_watched(new_url(), random.Random(seed), keep, at_once))

    holds()


async def pruned_while_watched(
    url: str, dice: random.Random, keep: int, at_once: int, total: int = 40
) -> None:
    """Two write, one prunes, three watch who come and go; each of them ends with what is there."""
    world = World(Database(url, schema="toolkit"))
    book = Book(world)
    await book.open()
    retention = Retention(world.database, at_once=at_once, clock=lambda: world.now)
    retention.outbox(world.outbox, keep=keep)
    watchers = [Watcher(world, book) for _ in range(3)]
    written = 0

    async def write() -> None:
        nonlocal written
        for _ in range(total // 2):
            world.now += 1
            await book.add(dice.choice("abc"), dice.randint(1, 9))
            written += 1

    async def prune() -> None:
        while written < total:
            await retention.prune()

    async def watch(watcher: Watcher) -> None:
        while watcher.at < total:
            await watcher.watch(total, dice.randint(1, 3))
            for _ in range(dice.randint(0, 20)):
                await asyncio.sleep(0)

    try:
        async with asyncio.timeout(120):
            await asyncio.gather(write(), write(), prune(), *map(watch, watchers))
        assert await book.snapshot() == (watchers[0].copy, total)
        assert watchers[0].copy == watchers[1].copy == watchers[2].copy
    finally:
        await world.database.close()
