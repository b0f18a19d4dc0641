"""Health tells whether a service's database can be used, also when nobody calls."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, make_url, text

from databases import NewUrl
from meshpact.mesh.config import load
from meshpact.mesh.state import State
from meshpact.servers.context import ServiceContext
from meshpact.servers.storage import availability
from meshpact.servers.storage.availability import DATABASE
from meshpact.servers.storage.database import Database, StorageUnavailable
from meshpact.servers.storage.opening import open_database
from outages import away, back, cut
from reference.marketing.sales.app import MIGRATIONS

MESH = """
trust_domain: shop.example
services:
  store: {{ factory: "shop:create", address: "127.0.0.1:0", storage: "{url}" }}
"""


class Told:
    """What health was told of a database, as it changed."""

    def __init__(self) -> None:
        self.all: list[bool] = []
        self._changed = asyncio.Condition()
        self._tasks = set[asyncio.Task[None]]()

    def hear(self, name: str, good: bool) -> None:
        assert name == DATABASE
        if self.all[-1:] != [good]:
            self.all.append(good)
            task = asyncio.create_task(self._tell())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _tell(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    async def until(self, *all_of_them: bool) -> None:
        async with self._changed, asyncio.timeout(60):
            await self._changed.wait_for(lambda: self.all == list(all_of_them))


@pytest.fixture
def url(new_url: NewUrl) -> str:
    return new_url()


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
async def database(url: str, told: Told, tmp_path: Path) -> AsyncIterator[Database]:
    path = tmp_path / "mesh.yaml"
    path.write_text(MESH.format(url=url))
    context = ServiceContext(
        config=load(path),
        service="store",
        state=State(tmp_path / "state").create(),
        root=tmp_path,
        addresses={},
    )
    context.tell_health(told.hear)
    yield await _opened(context)
    await context.aclose()


async def _opened(context: ServiceContext) -> Database:
    made = await open_database(context, MIGRATIONS)
    context.ready()
    return made


def look(connection: Connection) -> None:
    connection.execute(text("SELECT 1"))


async def test_a_database_that_a_call_finds_gone_is_told_at_once_and_again_when_it_is_back(
    database: Database, told: Told, url: str
) -> None:
    await told.until(True)
    await away(url)
    with pytest.raises(StorageUnavailable):
        await database.read(look)
    await told.until(True, False)
    await back(url)
    await told.until(True, False, True)
    await database.read(look)


@pytest.fixture
def looking_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(availability, "EVERY", 0.1)


@pytest.mark.usefixtures("looking_often")
async def test_a_database_that_goes_away_unused_is_told_too(
    database: Database, told: Told, url: str
) -> None:
    await told.until(True)
    await away(url)
    await told.until(True, False)
    await back(url)
    await told.until(True, False, True)


async def test_connections_that_are_made_again_are_no_trouble(
    database: Database, told: Told, url: str
) -> None:
    if not database.sqlite:
        await told.until(True)
        await cut(url)
        await database.read(look)
        assert told.all == [True]


async def test_a_database_that_can_only_be_read_is_not_well(
    told: Told, database: Database, url: str
) -> None:
    if not database.sqlite:
        return
    await told.until(True)
    other = sqlite3.connect(str(make_url(url).database), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StorageUnavailable):
        await database.write(look)
    await told.until(True, False)
    await database.read(look)
    other.execute("ROLLBACK")
    other.close()
    await told.until(True, False, True)
