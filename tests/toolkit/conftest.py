"""Databases of both kinds, and calls as handlers get them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from databases import NewUrl, postgres_urls, sqlite_urls
from meshpact.servers.storage.database import Database

Open = Callable[[str], Awaitable[Database]]


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
async def opened() -> AsyncIterator[Open]:
    """Opens databases by their URL, in the schema `toolkit`, and closes them."""
    databases: list[Database] = []

    async def open_(url: str) -> Database:
        database = Database(url, schema="toolkit")
        databases.append(database)
        return database

    yield open_
    for database in databases:
        await database.close()


@pytest.fixture
async def database(new_url: NewUrl, opened: Open) -> Database:
    """An empty database."""
    return await opened(new_url())
