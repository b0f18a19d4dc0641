"""Databases of both kinds for the sales."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from databases import NewUrl
from marketing.watched import Marketing
from meshpact.servers.storage.database import Database
from meshpact.servers.storage.migrate import migrate
from meshpact.testing.mesh import LocalMesh
from reference.marketing.sales.app import MIGRATIONS
from reference.marketing.sales.ledger import Ledger
from salesfeed import PLACED, Feed, event
from systemmesh import system_mesh

HOUR = 3600


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


@pytest.fixture
async def marketing(tmp_path: Path, url: str) -> AsyncIterator[Marketing]:
    """The sales database, running, with five orders of five hours booked."""
    feed = Feed(*(event(PLACED, (f"A{n}", n + 1, 100), at=n * HOUR) for n in range(5)))
    with system_mesh(tmp_path) as mesh_file:
        async with LocalMesh(
            mesh_file,
            state=tmp_path / "state",
            services=["sales"],
            servicers={"orders": feed.servicer},
            storage=lambda _: url,
        ) as mesh:
            made = Marketing(mesh, feed)
            await made.booked(5)
            yield made
