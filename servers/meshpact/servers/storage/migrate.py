"""Brings a database to the newest schema at start.

The steps of a service are alembic revisions in its folder `migrations`, named by a number:
0001_..., 0002_.... A database that is at the last one is not touched, and alembic is not loaded.
"""

from __future__ import annotations

import logging
from pathlib import Path

from sqlalchemy import Connection, inspect, text
from sqlalchemy.exc import DBAPIError

from meshpact.servers.storage.database import Database, StorageError, StorageUnavailable

ENVIRONMENT = Path(__file__).parent / "migrations"


async def migrate(database: Database, versions: Path) -> None:
    """Applies the revisions in `versions` that the database lacks, all or none.

    Raises StorageError when the database cannot be opened or comes from a newer program, and when
    `versions` has no revisions, or ones that are none.
    """
    file = Path(database.url.database or "")
    if database.sqlite and not file.parent.is_dir():
        raise StorageError(f"{file} cannot be used: make the folder {file.parent} first")
    try:
        await database.migrate(lambda connection: upgrade(connection, versions))
    except StorageUnavailable as error:
        raise StorageError(f"the database cannot be used: {error.detail}") from error
    except DBAPIError as error:
        where = database.url.render_as_string(hide_password=True)
        raise StorageError(f"{where} cannot be used: {error.orig}") from error


def upgrade(connection: Connection, versions: Path) -> None:
    """As `migrate`, on a connection that is open already and in a transaction."""
    known = sorted(path.stem.partition("_")[0] for path in versions.glob("[0-9]*.py"))
    if not known:
        raise StorageError(f"{versions} has no migrations: write the first one, 0001_NAME.py")
    current = _current(connection)
    if current == known[-1]:
        return
    if current and current not in known:
        raise StorageError(
            f"the database is at revision {current}, this program knows up to {known[-1]}: "
            "run the newer program, or give it another database"
        )
    logging.getLogger("alembic").setLevel(logging.WARNING)
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", str(ENVIRONMENT))
    config.set_main_option("version_locations", str(versions))
    config.set_main_option("path_separator", "newline")
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        raise StorageError(f"the migrations in {versions} cannot be applied: {error}") from error
    if (reached := _current(connection)) != known[-1]:
        raise StorageError(
            f"the migrations in {versions} end at revision {reached!r}, their files at "
            f"{known[-1]}: let `revision` be what the file's name begins with, and "
            "`down_revision` the one before"
        )


def _current(connection: Connection) -> str:
    if not inspect(connection).has_table("alembic_version"):
        return ""
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar() or ""
