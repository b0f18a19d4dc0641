"""Connections to Postgres are bounded: those of one process, and those of all systems together."""

from __future__ import annotations

import asyncio
import importlib
from pathlib import Path

import pytest
from sqlalchemy import Connection, make_url, text
from sqlalchemy.util import await_only

from databases import NewUrl
from meshpact.mesh.config import load
from meshpact.servers.storage.database import Database, StorageError

MESH = Path(__file__).parents[2] / "mesh.yaml"
MOST = 80
"""Of the 100 connections that Postgres takes by default, some are for people and backups."""


async def test_a_process_has_no_more_connections_than_it_was_given(postgres: NewUrl) -> None:
    url = postgres()
    outside = Database(url, schema="outside")
    database = Database(url, schema="toolkit", connections=3)
    open_ = text("SELECT count(*) FROM pg_stat_activity WHERE datname = :name")
    name = {"name": make_url(url).database}
    both, may = asyncio.Semaphore(0), asyncio.Event()

    async def counted() -> int:
        return await outside.read(lambda connection: int(connection.scalar(open_, name) or 0))

    def hold(connection: Connection) -> None:
        connection.execute(text("SELECT 1"))
        both.release()
        await_only(may.wait())

    alone = await counted()
    async with asyncio.timeout(60):
        with database.listen("something") as heard:
            await heard.wait()  # said once it listens
            work = [asyncio.create_task(database.write(hold)) for _ in range(6)]
            await both.acquire()
            await both.acquire()
            assert await counted() - alone == 3
            may.set()
            await asyncio.gather(*work)
            assert await counted() - alone == 3
    await database.close()
    await outside.close()


@pytest.mark.parametrize("count", [1, 0, -1])
async def test_fewer_connections_than_one_that_listens_and_one_that_works_are_refused(
    count: int, tmp_path: Path
) -> None:
    with pytest.raises(StorageError, match=f"connections is {count}; allowed: 2 or more"):
        Database(f"sqlite:///{tmp_path / 'x.db'}", connections=count)


def test_all_systems_together_leave_postgres_room_for_others() -> None:
    config = load(MESH)
    modules = {
        name: importlib.import_module(service.factory.partition(":")[0])
        for name, service in config.services.items()
        if service.factory
    }
    storing = [name for name, module in modules.items() if hasattr(module, "open_database")]
    assert {"inventory", "store", "orders", "identity", "sales", "billing"} <= {*storing}
    assert len(storing) * config.databases.connections <= MOST
