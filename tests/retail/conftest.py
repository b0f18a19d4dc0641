"""Databases of both kinds, and the shop's order book."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from databases import postgres_urls, sqlite_urls
from meshpact.servers.storage.database import Database
from meshpact.servers.storage.migrate import migrate
from reference.retail.dataset import rows
from reference.retail.dataset.books import Books, keep
from retailshop import RETAIL, NewDatabase, NewUrl


@pytest.fixture(scope="session")
def books() -> Books:
    return keep(rows.read())


@pytest.fixture(scope="session")
def postgres() -> Iterator[NewUrl]:
    """Gives the URLs of new databases on a real Postgres."""
    with postgres_urls() as new:
        yield new


@pytest.fixture(params=["sqlite", "postgres"])
def new_url(request: pytest.FixtureRequest, tmp_path: Path) -> NewUrl:
    """Gives the URL of a new, empty database, once for SQLite and once for Postgres."""
    if request.param == "postgres":
        made: NewUrl = request.getfixturevalue("postgres")
        return made
    return sqlite_urls(tmp_path)


@pytest.fixture
async def new_database(new_url: NewUrl) -> AsyncIterator[NewDatabase]:
    """Gives a new database with the newest schema of a service."""
    opened: list[Database] = []

    async def new(service: str) -> Database:
        database = Database(new_url())
        opened.append(database)
        await migrate(database, RETAIL / service / "migrations")
        return database

    yield new
    for database in opened:
        await database.close()
