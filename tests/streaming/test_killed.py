"""What is left when processes of the streaming system are killed: nothing half done, no strays."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from pathlib import Path

import psutil
from sqlalchemy import Connection, func, select

from meshpact.servers.storage.database import Database
from reference.streaming.catalog.filling import fill
from reference.streaming.catalog.tables import titles
from reference.streaming.dataset import rows

TITLES = 8807

STARTING = """
import subprocess, sys
training = subprocess.Popen(
    [sys.executable, "-m", "reference.streaming.recommendations.training", sys.argv[1], "1", "c"],
    stdin=sys.stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
)
print(training.pid, flush=True)
training.wait()
"""


def test_a_training_ends_with_the_service_that_began_it(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", STARTING, str(tmp_path)],
        stdin=subprocess.PIPE,  # never ended: the training waits for what it is to learn from
        stdout=subprocess.PIPE,
        text=True,
    ) as service:
        assert service.stdout is not None
        training = psutil.Process(int(service.stdout.readline()))
        service.send_signal(signal.SIGKILL)
        _, left = psutil.wait_procs([training], timeout=30)
        for each in left:
            each.kill()
        assert left == []
    assert list(tmp_path.iterdir()) == []


FILLING = """
import asyncio, sys
from meshpact.servers.storage.database import Database
from meshpact.servers.storage.migrate import migrate
from reference.streaming.catalog.app import MIGRATIONS
from reference.streaming.catalog.filling import fill
from reference.streaming.dataset import rows

async def main():
    database = Database(sys.argv[1])
    await migrate(database, MIGRATIONS)
    print("empty", flush=True)
    await fill(database, rows.packed())
    await asyncio.Event().wait()

asyncio.run(main())
"""
HALF = 4 * 2**20
"""Bytes of about the middle of the catalog on its way into the database."""


def fill_and_kill(url: str, log: Path) -> None:
    """Ends a process that fills a catalog, about half through."""
    with subprocess.Popen(
        [sys.executable, "-c", FILLING, url], stdout=subprocess.PIPE, text=True
    ) as filling:
        assert filling.stdout is not None
        assert filling.stdout.readline() == "empty\n"
        while log.stat().st_size < HALF:
            assert filling.poll() is None
        filling.kill()


async def test_a_catalog_whose_import_is_killed_is_there_whole_or_not_and_then_whole(
    tmp_path: Path,
) -> None:
    url = f"sqlite:///{tmp_path}/catalog.db"
    await asyncio.to_thread(fill_and_kill, url, tmp_path / "catalog.db-wal")
    database = Database(url)
    assert await database.read(count) in (0, TITLES)
    await fill(database, rows.packed())
    assert await database.read(count) == TITLES
    check = "PRAGMA integrity_check"
    assert await database.read(lambda opened: opened.exec_driver_sql(check).scalar()) == "ok"
    await database.close()


def count(connection: Connection) -> int:
    return int(connection.execute(select(func.count()).select_from(titles)).scalar_one())
