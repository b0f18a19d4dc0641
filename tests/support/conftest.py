"""Billing on databases of both kinds, and its database alone."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from databases import NewUrl, Storage
from meshpact.servers.storage.database import Database
from meshpact.servers.storage.migrate import migrate
from reference.support.billing.app import MIGRATIONS
from support.desk import Desk, desk_of


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def desk(storage: Storage, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Desk]:
    """One running billing for all tests of a module, on each kind of database."""
    async with desk_of(tmp_path_factory.mktemp("support"), storage) as running:
        yield running


@pytest.fixture
async def database(new_url: NewUrl) -> AsyncIterator[Database]:
    """Billing's database, empty."""
    made = Database(new_url(), schema="billing")
    await migrate(made, MIGRATIONS)
    yield made
    await made.close()
