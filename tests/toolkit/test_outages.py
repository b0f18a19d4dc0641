"""Databases that fail in part: locked by others, on a full disk, on a host that vanished."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from sqlalchemy import Connection

from databases import NewUrl
from meshpact.servers.storage import pglisten
from meshpact.servers.storage import postgres as postgres_store
from meshpact.servers.storage.database import Database, StorageUnavailable
from meshpact.servers.storage.feed import ChangeFeed
from meshpact.servers.storage.outbox import Entry
from toolkit.numbered import add, all_numbers, metadata
from toolkit.outboxworld import World, next_of, said
from toolkit.silence import relayed


@pytest_asyncio.fixture
async def file(tmp_path: Path) -> AsyncIterator[Database]:
    database = Database(f"sqlite:///{tmp_path}/shop.db")
    await database.migrate(metadata.create_all)
    await database.write(add(1))
    yield database
    await database.close()


async def test_a_file_that_another_program_locks_is_unavailable_for_writing_only(
    file: Database, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    other = sqlite3.connect(tmp_path / "shop.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    for number in (2, 3, 4):
        with pytest.raises(StorageUnavailable) as caught:
            await file.write(add(number))
        assert "database is locked" in caught.value.detail
        assert caught.value.message == "The service's database cannot be reached; try again."
        assert await file.read(all_numbers) == [1]
    other.execute("ROLLBACK")
    await file.write(add(5))
    assert await file.read(all_numbers) == [1, 5]
    said = [record.message for record in caplog.records if "available" in record.message]
    assert len(said) == 2, said
    other.close()


async def test_what_was_locked_once_waits_for_its_turn_again(
    file: Database, tmp_path: Path
) -> None:
    patience = "PRAGMA busy_timeout"

    def waits(connection: Connection) -> int:
        return int(connection.exec_driver_sql(patience).scalar_one())

    usual = await file.write(waits)
    other = sqlite3.connect(tmp_path / "shop.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StorageUnavailable):
        await file.write(add(2))
    other.execute("ROLLBACK")
    assert await file.write(waits) < usual
    assert await file.write(waits) == usual
    other.close()


FULL = """
import asyncio, logging, resource, sys
from sqlalchemy import text
from meshpact.servers.storage.database import Database, StorageUnavailable

def limit(size):
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

def add(n):
    row = {"n": n, "filling": "x" * 9000}
    return lambda c: c.execute(text("INSERT INTO t VALUES (:n, :filling)"), row)

def all_of_them(c):
    return list(c.execute(text("SELECT n FROM t ORDER BY n")).scalars())

async def main():
    database = Database(sys.argv[1])
    await database.migrate(lambda c: c.execute(text("CREATE TABLE t (n INTEGER, filling TEXT)")))
    await database.write(add(0))
    limit(40_000)
    written, refused, changes, well = [0], 0, 0, True
    for n in range(1, 40):
        try:
            await asyncio.gather(database.write(add(2 * n)), database.write(add(2 * n + 1)))
            written += [2 * n, 2 * n + 1]
            changes, well = changes + (not well), True
        except StorageUnavailable as problem:
            assert sys.argv[1].partition("///")[2] not in problem.message
            refused += 1
            changes, well = changes + well, False
        assert await database.read(all_of_them) == written
    assert refused > 20, refused
    limit(resource.RLIM_INFINITY)
    await database.write(add(100))
    assert await database.read(all_of_them) == [*written, 100]
    await database.close()
    print("changes:", changes + (not well))

logging.basicConfig(level="WARNING", stream=sys.stdout)
asyncio.run(main())
"""


def test_on_a_full_disk_writing_is_refused_reading_goes_on_and_nothing_is_lost(
    tmp_path: Path,
) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", FULL, f"sqlite:///{tmp_path}/shop.db"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    *said, changes = ended.stdout.splitlines()
    assert changes == f"changes: {len(said)}", ended.stdout


async def following(feed: ChangeFeed, after: int) -> list[Entry]:
    """The next events, asked for again while the database is away."""
    while True:
        with contextlib.suppress(StorageUnavailable):
            async with contextlib.aclosing(feed.follow(after)) as batches:
                return await next_of(batches)


async def test_a_server_that_vanished_without_a_word_is_noticed_and_its_feed_goes_on(
    postgres: NewUrl, monkeypatch: pytest.MonkeyPatch
) -> None:
    noticed = asyncio.Event()

    def warned(message: str) -> None:
        assert message == "the database has fallen silent: connecting anew"
        noticed.set()

    monkeypatch.setattr(pglisten.log, "warning", warned)
    monkeypatch.setattr(pglisten, "QUIET", 0.1)
    monkeypatch.setattr(pglisten, "ANSWER_WITHIN", 0.5)
    monkeypatch.setattr(postgres_store, "CONNECT_WITHIN", 0.5)
    url = postgres()
    async with relayed(url) as (relay, through):
        near, far = (
            World(Database(str(place), schema="toolkit"))
            for place in (through.render_as_string(hide_password=False), url)
        )
        await far.database.migrate(far.metadata.create_all)
        feed = ChangeFeed(near.outbox, poll=3600)
        try:
            with near.database.listen("listening") as there:
                await asyncio.wait_for(there.wait(), 30)
            first = asyncio.create_task(following(feed, 0))
            await far.add("before")
            assert said(await asyncio.wait_for(first, 30)) == ["before"]
            relay.vanish()
            second = asyncio.create_task(following(feed, 1))
            await far.add("meanwhile")
            await asyncio.wait_for(noticed.wait(), 30)
            relay.come_back()
            assert said(await asyncio.wait_for(second, 30)) == ["meanwhile"]
            relay.vanish()
        finally:
            await near.database.close()
            await far.database.close()
