"""Histories: events add up to the same in any order, count once, and are forgotten whole."""

from __future__ import annotations

import asyncio
import itertools
import random
import uuid
from collections.abc import AsyncIterator, Sequence
from functools import partial, reduce

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection, func, select

import reference.streaming.recommendations.app as app
from databases import NewUrl
from meshpact.servers.storage.database import Database
from meshpact.servers.storage.migrate import migrate
from meshpact.servers.storage.retention import Retention
from reference.streaming.recommendations import history
from reference.streaming.recommendations.history import Event, EventReused, Kind, Play, after
from reference.streaming.recommendations.tables import events as event_table

PROFILE = "11111111-1111-4111-8111-111111111111"
NOW = 1_800_000_000_000_000
KINDS: tuple[Kind, ...] = ("started", "position", "finished", "rated")


def event(kind: Kind, time: int, value: int = 0, title_id: str = "s1") -> Event:
    return Event(str(uuid.uuid4()), title_id, time, kind, value)


def sensible(kind: Kind, time: int, value: int) -> Event:
    return event(kind, time, {"position": value * 1000, "rated": value % 5 + 1}.get(kind, 0))


EVENTS = st.lists(
    st.builds(sensible, st.sampled_from(KINDS), st.integers(1, 6), st.integers(0, 9)),
    min_size=1,
    max_size=8,
)


def added_up(events: Sequence[Event]) -> Play:
    return reduce(after, events, Play("s1", events[0].time))


@given(events=EVENTS, shuffled=st.randoms(use_true_random=False), again=st.integers(0, 8))
def test_events_add_up_to_the_same_in_any_order(
    events: list[Event], shuffled: random.Random, again: int
) -> None:
    other = [*events, *events[:again]]
    shuffled.shuffle(other)
    assert added_up(other) == added_up(events)


def test_a_rating_that_comes_late_is_not_lost() -> None:
    rated, other = event("rated", 5, 2), event("started", 9)
    assert added_up([event("rated", 1, 4), other, rated]).stars == 2


@pytest.fixture
async def database(new_url: NewUrl) -> AsyncIterator[Database]:
    made = Database(new_url(), schema="recommendations")
    await migrate(made, app.MIGRATIONS)
    yield made
    await made.close()


async def keep(database: Database, event: Event, now: int = NOW, profile: str = PROFILE) -> bool:
    work = partial(history.keep, profile_id=profile, event=event, timed=True, now=now)
    return await database.write(work)


async def watched(database: Database, profile: str = PROFILE) -> list[Play]:
    return await database.read(partial(history.watched, profile_id=profile))


async def test_an_event_that_comes_many_times_at_once_counts_once(database: Database) -> None:
    one = event("rated", NOW, 4)
    kept = await asyncio.gather(*(keep(database, one) for _ in range(12)))
    assert kept.count(True) == 1
    assert [play.stars for play in await watched(database)] == [4]


async def test_events_of_one_title_at_once_all_count(database: Database) -> None:
    events = [event("position", NOW + each, each * 1000) for each in range(10)]
    await asyncio.gather(*(keep(database, each) for each in [*events, event("finished", NOW)]))
    [play] = await watched(database)
    assert (play.position_ms, play.finished) == (9000, True)


async def test_an_id_with_other_content_is_refused_and_changes_nothing(
    database: Database,
) -> None:
    one = event("rated", NOW, 4)
    await keep(database, one)
    for other in (one._replace(value=5), one._replace(title_id="s2"), one._replace(time=NOW + 1)):
        with pytest.raises(EventReused):
            await keep(database, other)
    assert [(play.title_id, play.stars) for play in await watched(database)] == [("s1", 4)]


async def test_old_ids_are_forgotten_and_what_they_did_stays(database: Database) -> None:
    one = event("rated", NOW, 4)
    await keep(database, one)
    keep_for = 30 * 86_400
    later = NOW + keep_for * 1_000_000
    now = [later]
    retention = Retention(database, clock=lambda: now[0] / 1e6)
    history.add_rules(retention, keep_for)
    await retention.prune()
    assert await ids(database) == 1
    now[0] += 1
    await retention.prune()
    assert await ids(database) == 0
    before = await watched(database)
    assert await keep(database, one, later)
    assert await watched(database) == before


async def ids(database: Database) -> int:
    def count(connection: Connection) -> int:
        return connection.execute(select(func.count()).select_from(event_table)).scalar_one()

    return await database.read(count)


async def test_one_profile_is_forgotten_and_the_other_is_not(database: Database) -> None:
    other = "22222222-2222-4222-8222-222222222222"
    for profile, number in itertools.product((PROFILE, other), range(1, 4)):
        await keep(database, event("started", NOW, title_id=f"s{number}"), profile=profile)
    forget = partial(history.forget, profile_id=PROFILE, now=NOW)
    assert await database.write(forget) == 3
    assert await watched(database) == []
    assert len(await watched(database, other)) == 3
    assert not await keep(database, event("started", NOW))
    assert await keep(database, event("started", NOW + 1))
    # An earlier deletion that comes late brings nothing back.
    assert await database.write(partial(history.forget, profile_id=PROFILE, now=NOW - 5)) == 1
    assert not await keep(database, event("started", NOW))


async def test_popular_is_what_was_finished_or_liked(database: Database) -> None:
    for said in (
        event("finished", NOW, title_id="s1"),
        event("rated", NOW, 4, title_id="s2"),
        event("rated", NOW, 3, title_id="s3"),
        event("position", NOW, 5, title_id="s4"),
    ):
        await keep(database, said)
    assert await database.read(history.popularity) == {"s1": 1, "s2": 1}
