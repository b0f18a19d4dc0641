"""Who is surely new is recommended what is popular without a look at their history."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TypeVar

import pytest
from sqlalchemy import Connection

from acme.streaming.catalog.v1.catalog_mesh import CatalogServiceClient
from databases import NewUrl
from meshpact.servers.background import Job
from meshpact.servers.storage.database import Database
from meshpact.servers.storage.migrate import migrate
from reference.streaming.profiles import Viewer
from reference.streaming.recommendations import history, model, newcomers
from reference.streaming.recommendations.app import MIGRATIONS
from reference.streaming.recommendations.history import Event
from reference.streaming.recommendations.keeper import Keeper
from reference.streaming.recommendations.library import Library
from reference.streaming.recommendations.newcomers import Newcomers
from reference.streaming.recommendations.ranking import Ranking
from streamingmesh import Streaming, trained_model

T = TypeVar("T")


class Slow(Database):
    """A database whose answers wait until they may come."""

    may: asyncio.Event | None = None
    reads = 0

    async def read(self, work: Callable[[Connection], T]) -> T:
        found = await super().read(work)
        self.reads += 1
        if self.may is not None:
            await self.may.wait()
        return found


@pytest.fixture
async def database(new_url: NewUrl) -> AsyncIterator[Slow]:
    made = Slow(new_url(), schema="recommendations")
    await migrate(made, MIGRATIONS)
    yield made
    await made.close()


@pytest.fixture
async def looking(
    database: Slow, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Callable[[], Newcomers]]:
    """Makes one that looks often."""
    monkeypatch.setattr(newcomers, "SEEN", 0.05)
    jobs: list[Job] = []

    def new() -> Newcomers:
        made = Newcomers(database)
        jobs.append(Job("newcomers", made.look, every=0.05, pause=0.05, pause_at_most=0.05))
        jobs[-1].start()
        return made

    yield new
    for each in jobs:
        await each.close()


async def keep(database: Database, profile_id: str) -> None:
    """The profile finishes a title."""
    now = time.time_ns() // 1000
    event = Event(str(uuid.uuid4()), "s1", now, "finished")
    await database.write(lambda c: history.keep(c, profile_id, event, False, now))


async def until(holds: Callable[[], bool]) -> None:
    """Waits until something is so."""
    async with asyncio.timeout(20):
        while not holds():  # noqa: ASYNC110  (what is waited for tells nobody)
            await asyncio.sleep(0.01)


async def test_nobody_is_new_before_the_first_look(database: Slow) -> None:
    assert not Newcomers(database).is_new("somebody")


async def test_who_has_a_history_is_not_new_and_all_others_are(
    database: Slow, looking: Callable[[], Newcomers]
) -> None:
    await keep(database, "old")
    known = looking()
    await until(lambda: known.is_new("new"))
    assert not known.is_new("old")
    known.watches("new")
    assert not known.is_new("new")


async def test_what_another_process_keeps_is_seen_soon(
    database: Slow, looking: Callable[[], Newcomers]
) -> None:
    known = looking()
    await until(lambda: known.is_new("other"))
    await keep(database, "other")
    await until(lambda: known.is_new("another") and not known.is_new("other"))


async def test_nobody_is_new_while_the_database_does_not_answer(
    database: Slow, looking: Callable[[], Newcomers]
) -> None:
    known = looking()
    await until(lambda: known.is_new("somebody"))
    database.may = asyncio.Event()
    await until(lambda: not known.is_new("somebody"))
    database.may.set()
    await until(lambda: known.is_new("somebody"))


async def test_with_too_many_histories_to_remember_all_are_read(
    database: Slow, looking: Callable[[], Newcomers], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(newcomers, "MOST", 2)
    known = looking()
    await until(lambda: known.is_new("somebody"))
    for profile_id in "one", "two", "three":
        await keep(database, profile_id)
    await until(lambda: not known.is_new("somebody"))
    await asyncio.sleep(0.2)
    assert not known.is_new("somebody")


async def test_a_list_of_before_the_last_event_does_not_stand(
    database: Slow, tmp_path: Path
) -> None:
    """The history is read, then an event comes, and only then the list is there."""
    async with Streaming(tmp_path, services=("catalog",)) as streaming:
        catalog = streaming.mesh.client(CatalogServiceClient, as_="recommendations")
        keeper = Keeper(trained_model(), catalog, database)
        keeper.model = model.load(trained_model())
        ranking = Ranking(keeper, database, Library(catalog), Newcomers(database))
        viewer = Viewer(str(uuid.uuid4()), 18)
        database.may = asyncio.Event()
        before = asyncio.create_task(ranking.of(viewer))
        await until(lambda: database.reads > 0)
        ranking.changes(viewer.profile_id)
        await keep(database, viewer.profile_id)
        ranking.forget(viewer.profile_id)
        database.may.set()
        stale = await before
        now = await ranking.of(viewer)
    assert {each.because for each in stale.picks} == {""}
    assert now.picks[0].because == "s1"
