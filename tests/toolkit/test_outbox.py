"""The outbox and who follows it: each event once, in order, without gaps, whatever happens."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable, Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, text
from sqlalchemy.util import await_only

from databases import NewUrl
from meshpact.servers.storage.database import Database
from meshpact.servers.storage.feed import ChangeFeed
from meshpact.servers.storage.outbox import Entry, Event, Head, RevisionGone
from toolkit.outboxworld import Broken, Receiver, World, dispatching, next_of, position, said

Open = Callable[[str], Awaitable[Database]]


@pytest.fixture
async def world(database: Database) -> World:
    made = World(database)
    await database.migrate(made.metadata.create_all)
    return made


async def another(world: World, opened: Open) -> World:
    """The same outbox as another process has it."""
    return World(await opened(world.database.url.render_as_string(hide_password=False)))


def revisions(entries: Sequence[Entry]) -> list[int]:
    return [entry.revision for entry in entries]


async def test_events_are_followed_from_any_revision_in_order(world: World) -> None:
    assert await world.add("a", "b") == 2
    assert await world.add("c") == 3
    everything = await world.take(3)
    assert (said(everything), revisions(everything)) == (["a", "b", "c"], [1, 2, 3])
    assert {entry.kind for entry in everything} == {"said"}
    assert everything[0].at.timestamp() == world.now
    assert said(await world.take(1, after=2)) == ["c"]
    assert await world.feed.head() == Head(0, 3)


async def test_a_follower_outlives_the_loss_of_all_connections(postgres: NewUrl) -> None:
    database = Database(postgres(), schema="toolkit")
    world = World(database)
    await database.migrate(world.metadata.create_all)
    cut = text(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    feed = ChangeFeed(world.outbox, poll=3600)
    async with contextlib.aclosing(feed.follow(0)) as batches:
        for number in range(3):
            waiting = asyncio.create_task(next_of(batches))
            await world.add(str(number))
            assert said(await asyncio.wait_for(waiting, 30)) == [str(number)]
            other = Database(database.url.render_as_string(hide_password=False))
            await other.write(lambda connection: connection.execute(cut).all())
            await other.close()
    await database.close()


async def test_an_outbox_begins_empty(world: World) -> None:
    assert await world.feed.head() == Head(0, 0)
    assert await world.add() == 0
    assert await world.feed.head() == Head(0, 0)


async def test_events_of_a_transaction_that_was_undone_leave_no_gap(world: World) -> None:
    await world.add("a")
    ends = await asyncio.gather(
        *(world.add(f"{n}", fail=n % 2 == 0) for n in range(20)), return_exceptions=True
    )
    assert sum(isinstance(end, Broken) for end in ends) == 10
    assert revisions(await world.take(11)) == [*range(1, 12)]


async def test_a_follower_is_woken_by_each_commit(world: World, opened: Open) -> None:
    other = await another(world, opened)
    patient = ChangeFeed(world.outbox, poll=3600)
    quick = ChangeFeed(other.outbox, poll=0.01 if other.database.sqlite else 3600)
    async with (
        contextlib.aclosing(patient.follow(0)) as here,
        contextlib.aclosing(quick.follow(0)) as elsewhere,
    ):
        for number in range(5):
            waiting = [asyncio.create_task(next_of(each)) for each in (here, elsewhere)]
            await asyncio.sleep(0)
            await world.add(str(number))
            for batch in await asyncio.wait_for(asyncio.gather(*waiting), 30):
                assert said(batch) == [str(number)]


def waits_for_a_lock(connection: Connection) -> bool:
    waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
    return bool(connection.execute(text(waits)).scalar())


async def test_no_revision_is_seen_before_one_that_was_counted_earlier(postgres: NewUrl) -> None:
    database = Database(postgres(), schema="toolkit")
    world = World(database)
    await database.migrate(world.metadata.create_all)
    await world.add("first")
    appended, go_on = asyncio.Event(), asyncio.Event()

    def slow(connection: Connection) -> int:
        newest = world.outbox.append(connection, [Event("said", b"slow")])
        appended.set()
        await_only(go_on.wait())
        return newest

    async with contextlib.aclosing(world.feed.follow(1)) as batches:
        holding = asyncio.create_task(database.write(slow))
        await appended.wait()
        quick = asyncio.create_task(world.add("quick"))
        waiting = asyncio.create_task(next_of(batches))
        while not await database.read(waits_for_a_lock):
            assert not quick.done()
        assert not waiting.done()
        go_on.set()
        assert await holding == 2
        assert await quick == 3
        seen = await waiting
        while len(seen) < 2:
            seen += await anext(batches)
        assert (said(seen), revisions(seen)) == (["slow", "quick"], [2, 3])
    await database.close()


async def test_many_writers_and_followers_that_come_and_go_see_each_event_once(
    world: World, opened: Open
) -> None:
    writers = [world, await another(world, opened), await another(world, opened)]
    total, source = 120, random.Random(7)

    async def write(writer: World, names: range) -> None:
        for name in names:
            with contextlib.suppress(Broken):
                await writer.add(f"undone {name}", fail=True)
            await writer.add(str(name))

    async def follow(feed: ChangeFeed) -> list[Entry]:
        found: list[Entry] = []
        while len(found) < total:
            stay = source.randint(1, 4)
            async with contextlib.aclosing(feed.follow(len(found))) as batches:
                while stay and len(found) < total:
                    found += await asyncio.wait_for(next_of(batches), 30)
                    stay -= 1
        return found

    feeds = [ChangeFeed(each.outbox, batch=5) for each in (world, writers[1], writers[1])]
    work = [write(writer, range(n, total, 3)) for n, writer in enumerate(writers)]
    *seen, _, _, _ = await asyncio.gather(*map(follow, feeds), *work)
    for found in seen:
        assert found is not None
        assert revisions(found) == [*range(1, total + 1)]
        assert sorted(said(found), key=int) == [str(number) for number in range(total)]
        assert said(found) == said(seen[0] or [])


async def test_followers_at_the_same_place_read_together(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.add("a")
    reads: list[object] = []
    read = world.database.read

    async def counted(work: Callable[[Connection], object]) -> object:
        reads.append(work)
        return await read(work)

    monkeypatch.setattr(world.database, "read", counted)
    feed = ChangeFeed(world.outbox, poll=3600)
    found = await asyncio.gather(*(world.take(1, feed=feed) for _ in range(50)))
    assert all(said(each) == ["a"] for each in found)
    assert len(reads) < 10


async def test_a_feed_outlives_a_restart_of_its_process(world: World, opened: Open) -> None:
    await world.add("a", "b")
    seen = await world.take(2)
    await world.database.close()
    again = await another(world, opened)
    await again.add("c")
    seen += await again.take(1, after=seen[-1].revision)
    assert (said(seen), revisions(seen)) == (["a", "b", "c"], [1, 2, 3])


async def test_a_revision_that_was_pruned_or_never_was_is_refused(world: World) -> None:
    await world.add("a", "b")
    world.now += 100
    await world.add("c")
    assert await world.prune(older_than=50) == 2
    assert await world.prune(older_than=50) == 0
    assert await world.feed.head() == Head(2, 3)
    assert said(await world.take(1, after=2)) == ["c"]
    for revision in (0, 1, 4, 99, -1):
        with pytest.raises(RevisionGone, match="begin with a new snapshot") as caught:
            await world.take(1, after=revision)
        assert (caught.value.revision, caught.value.head) == (revision, Head(2, 3))


async def test_an_outbox_that_was_pruned_to_its_end_goes_on(world: World) -> None:
    await world.add("a", "b")
    world.now += 100
    assert await world.prune(older_than=50) == 2
    assert await world.add("c") == 3
    assert said(await world.take(1, after=2)) == ["c"]
    with pytest.raises(RevisionGone):
        await world.take(1, after=1)


async def test_what_a_dispatcher_still_needs_is_not_pruned(world: World) -> None:
    await world.add("a", "b", "c")
    world.now += 100
    assert await world.prune(older_than=50, needed=[3, 1]) == 1
    assert await world.prune(older_than=50, needed=[1]) == 0
    assert said(await world.take(2, after=1)) == ["b", "c"]


async def test_an_empty_outbox_is_pruned_without_harm(world: World) -> None:
    assert await world.prune(older_than=0) == 0


async def test_a_delivery_that_fails_is_tried_again_and_nothing_overtakes(world: World) -> None:
    receiver = Receiver(fails=3)
    receiver.expected = await world.add(*"abcdefghij")
    async with dispatching(world, receiver):
        await asyncio.wait_for(receiver.enough.wait(), 30)
        receiver.enough.clear()
        receiver.expected = await world.add("k")
        await asyncio.wait_for(receiver.enough.wait(), 30)
    assert said(receiver.got) == [*"abcdefghijk"]


async def test_a_delivery_whose_answer_is_lost_comes_again(world: World) -> None:
    receiver = Receiver(fails=2, whole=True)
    receiver.expected = await world.add("a", "b")
    async with dispatching(world, receiver):
        await asyncio.wait_for(receiver.enough.wait(), 30)
    assert said(receiver.got) == [*"ababab"]


async def test_a_dispatcher_goes_on_where_the_one_before_it_ended(world: World) -> None:
    for payloads in (["a", "b"], ["c"]):
        receiver = Receiver()
        receiver.expected = await world.add(*payloads)
        async with dispatching(world, receiver):
            await asyncio.wait_for(receiver.enough.wait(), 30)
            while await position(world) != [receiver.expected]:
                pass  # it writes down how far it came right after the delivery
        assert said(receiver.got) == payloads


async def test_a_dispatcher_that_lost_events_says_so(world: World) -> None:
    await world.add("a")
    world.now += 100
    await world.prune(older_than=50)
    async with dispatching(world, Receiver()) as task:
        with pytest.raises(RevisionGone):
            await asyncio.wait_for(task, 30)


def test_any_way_of_writing_pruning_and_leaving_loses_and_doubles_nothing(
    new_url: NewUrl,
) -> None:
    @given(st.lists(st.one_of(st.integers(1, 12), st.sampled_from(["undo", "prune", "leave"]))))
    @settings(
        max_examples=15,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )
    def holds(steps: list[int | str]) -> None:
        asyncio.run(stepped(new_url, steps))

    holds()


async def stepped(new_url: NewUrl, steps: list[int | str]) -> None:
    database = Database(new_url(), schema="toolkit")
    world = World(database)
    await database.migrate(world.metadata.create_all)
    written, seen = 0, list[Entry]()
    try:
        for step in steps:
            world.now += 1
            if step == "undo":
                with contextlib.suppress(Broken):
                    await world.add("undone", fail=True)
            elif step == "prune":
                await world.prune(older_than=0.5, needed=[len(seen)])
            elif step == "leave":
                seen += await world.take(written - len(seen), after=len(seen))
            else:
                await world.add(*(str(written + n) for n in range(int(step))))
                written += int(step)
        seen += await world.take(written - len(seen), after=len(seen))
        assert revisions(seen) == [*range(1, written + 1)]
        assert said(seen) == [str(number) for number in range(written)]
    finally:
        await database.close()
