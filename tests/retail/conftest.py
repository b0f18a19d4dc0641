"""Databases of both kinds, and the shop's order book."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from meshpact.servers.storage.database import Database
from meshpact.servers.storage.migrate import migrate
from reference.retail.dataset import rows
from reference.retail.dataset.books import Books, keep
from retailshop import RETAIL, NewDatabase, NewUrl


@pytest.fixture(scope="session")
def books() -> Books:
    return keep(rows.read())


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
