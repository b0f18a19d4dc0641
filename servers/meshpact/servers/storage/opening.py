"""Opens a service's database as mesh.yaml has it, at its newest schema, until the service ends."""

from __future__ import annotations

from pathlib import Path

from meshpact.servers.context import ServiceContext
from meshpact.servers.storage.availability import tell_of
from meshpact.servers.storage.database import Database
from meshpact.servers.storage.migrate import migrate


async def open_database(context: ServiceContext, migrations: Path) -> Database:
    """The database of the service, brought up to date by the alembic revisions in `migrations`.

    On Postgres its tables lie in the schema of the service's name, and it has as many connections
    as `databases.connections` of mesh.yaml says. Health tells of it (`availability.DATABASE`).
    Closed with the context. StorageError when it cannot be used.
    """
    database = Database(
        context.storage,
        schema=context.service,
        connections=context.config.databases.connections,
    )
    context.on_close(database.close)
    await migrate(database, migrations)
    tell_of(database, context)
    return database
