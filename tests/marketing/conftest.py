"""Databases of both kinds for the sales."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from databases import NewUrl
from meshpact.servers.storage.database import Database
from meshpact.servers.storage.migrate import migrate
from reference.marketing.sales.app import MIGRATIONS
from reference.marketing.sales.ledger import Ledger


@pytest.fixture
def url(new_url: NewUrl) -> str:
    """The URL of a new, empty database, once for SQLite and once for Postgres."""
    return new_url()


@pytest.fixture
async def ledger(url: str) -> AsyncIterator[Ledger]:
    """An empty ledger of sales."""
    database = Database(url, schema="sales")
    await migrate(database, MIGRATIONS)
    yield Ledger(database)
    await database.close()
