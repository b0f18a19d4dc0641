"""Connections to Postgres end with their database, whatever runs while it closes."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator

import pytest
from sqlalchemy import Connection, make_url, text

from databases import NewUrl
from meshpact.servers.storage.database import (
    CONNECTIONS,
    LISTENING,
    Database,
    StorageUnavailable,
)
from toolkit.conftest import Open

READERS = 12
"""More than a database has connections."""
_ACTIVE = "query LIKE 'SELECT pg_sleep%' AND state = 'active'"


@pytest.fixture
def url(postgres: NewUrl) -> Iterator[str]:
    """An empty database; a connection that is left to the garbage collector fails the test."""
    yield postgres()
    gc.collect()


async def until(outside: Database, url: str, count: int, which: str = "TRUE") -> None:
    """Returns when a database has so many connections of a kind."""
    query = text(f"SELECT count(*) FROM pg_stat_activity WHERE datname = :name AND {which}")
    name = {"name": make_url(url).database}
    async with asyncio.timeout(30):
        while True:
            found = await outside.read(lambda connection: connection.scalar(query, name))
            if found == count:
                return


def sleep_on(connection: Connection) -> None:
    # Otherwise the server sleeps on, whoever has left.
    connection.execute(text("SET LOCAL client_connection_check_interval = 20"))
    connection.execute(text("SELECT pg_sleep(60)"))


def number_of(connection: Connection) -> int:
    """The process that serves this connection."""
    return int(connection.execute(text("SELECT pg_backend_pid()")).scalar_one())


async def test_reads_that_run_or_wait_while_a_database_closes_end_and_open_no_connection_again(
    url: str, postgres: NewUrl, opened: Open
) -> None:
    outside = await opened(postgres())
    database = Database(url)
    reads = [asyncio.create_task(database.read(sleep_on)) for _ in range(READERS)]
    await until(outside, url, CONNECTIONS - LISTENING, _ACTIVE)
    async with asyncio.timeout(30):
        await database.close()
        ended = await asyncio.gather(*reads, return_exceptions=True)
    assert {type(end) for end in ended} == {StorageUnavailable}
    await until(outside, url, 0)


async def test_a_read_whose_caller_leaves_ends_by_itself_and_gives_its_connection_back(
    url: str, postgres: NewUrl, opened: Open
) -> None:
    outside, database = await opened(postgres()), await opened(url)
    used = await database.read(number_of)
    read = asyncio.create_task(database.read(sleep_on))
    await until(outside, url, 1, _ACTIVE)
    read.cancel()
    await asyncio.gather(read, return_exceptions=True)
    wake = text("SELECT pg_cancel_backend(:number)")
    await outside.read(lambda connection: connection.scalar(wake, {"number": used}))
    async with asyncio.timeout(30):
        while await database.read(number_of) != used:
            pass


async def test_what_fails_once_its_caller_has_left_is_nobodys_error(
    url: str, postgres: NewUrl, opened: Open
) -> None:
    errors: list[str] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, told: errors.append(str(told)))
    outside, database = await opened(postgres()), Database(url)
    read = asyncio.create_task(database.read(sleep_on))
    await until(outside, url, 1, _ACTIVE)
    read.cancel()
    await asyncio.gather(read, return_exceptions=True)
    del read
    await database.close()
    gc.collect()
    assert errors == []


async def test_who_listens_to_a_database_that_has_closed_opens_no_connection(url: str) -> None:
    database = Database(url)
    await database.close()
    with database.listen("orders"):
        assert all(task.get_name() != "postgres-listener" for task in asyncio.all_tasks())
