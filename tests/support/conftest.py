"""Billing on databases of both kinds, its database alone, and the portal in a browser."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio
from playwright.sync_api import Browser

from browser import launched
from databases import NewUrl, Storage
from meshpact.servers.storage.database import Database
from meshpact.servers.storage.migrate import migrate
from reference.support.billing.app import MIGRATIONS
from support.desk import Desk, desk_of
from support.portal import Portal, running_portal


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


@pytest.fixture(scope="module")
def portal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Portal]:
    with running_portal(tmp_path_factory.mktemp("portal")) as running:
        yield running


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with launched() as found:
        yield found
