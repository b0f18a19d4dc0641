"""Databases of both kinds for the sales."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from databases import NewUrl, postgres_urls, sqlite_urls
from meshpact.servers.storage.database import Database
from meshpact.servers.storage.migrate import migrate
from reference.marketing.sales.app import MIGRATIONS
from reference.marketing.sales.ledger import Ledger


@pytest.fixture(scope="session")
def postgres() -> Iterator[NewUrl]:
    """Gives the URLs of new databases on a real Postgres."""
    with postgres_urls() as new:
        yield new


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a new, empty database, once for SQLite and once for Postgres."""
    if request.param == "postgres":
        made: NewUrl = request.getfixturevalue("postgres")
        return made()
    return sqlite_urls(tmp_path)()


@pytest.fixture
async def ledger(url: str) -> AsyncIterator[Ledger]:
    """An empty ledger of sales."""
    database = Database(url, schema="sales")
    await migrate(database, MIGRATIONS)
    yield Ledger(database)
    await database.close()
