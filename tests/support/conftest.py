"""Databases of both kinds for billing, and billing running on each."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio

from databases import NewUrl
from meshpact.servers.storage.database import Database
from meshpact.servers.storage.migrate import migrate
from reference.support.billing.app import MIGRATIONS
from support.desk import Desk, desk_of


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def storage(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], str]:
    """Gives billing its database, on each kind."""
    if request.param == "postgres":
        url = request.getfixturevalue("postgres")()
        return lambda _: url
    folder: Path = tmp_path_factory.mktemp("databases")
    return lambda service: f"sqlite:///{folder / service}.db"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def desk(
    storage: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Desk]:
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
