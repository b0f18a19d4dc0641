"""Tells health whether a service's database can be used.

Whoever finds it away has it looked at; without calls it is looked at now and then. After a
transaction that could not write, one that writes has to succeed: a full disk can be read.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, text

from meshpact.servers.background import Job
from meshpact.servers.context import ServiceContext
from meshpact.servers.storage.database import Database

DATABASE: Final = "meshpact.database"
"""The name under which a process's database is asked for (grpc.health.v1)."""
JOB: Final = "database"
EVERY: Final = 5.0
"""Seconds between two looks at a database that is there."""
AGAIN: Final = 0.25
AGAIN_AT_MOST: Final = 2.0
"""Seconds until the next look at one that is not, and at most after the next ones."""

_LOOK: Final = text("SELECT 1")
_WRITE: Final = text("UPDATE alembic_version SET version_num = version_num")


def tell_of(database: Database, context: ServiceContext) -> Job:
    """Has health told of a database that `migrate` has brought up to date."""

    async def look() -> None:
        await database.read(_look)
        if database.unwritable:
            await database.write(_write)

    job = context.background(
        JOB,
        look,
        every=EVERY,
        pause=AGAIN,
        pause_at_most=AGAIN_AT_MOST,
        health=DATABASE,
        patience=0.0,
    )
    database.on_trouble(job.wake)
    return job


def _look(connection: Connection) -> None:
    connection.execute(_LOOK)


def _write(connection: Connection) -> None:
    connection.execute(_WRITE)
