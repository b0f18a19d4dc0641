"""Databases of both kinds, and calls as handlers get them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from databases import NewUrl
from meshpact.servers.storage.database import Database

Open = Callable[[str], Awaitable[Database]]


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
