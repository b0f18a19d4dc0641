"""One service's database: transactions that write, connections that read.

SQLite runs in WAL mode with one connection that writes, in turn, and a few that read meanwhile.
Postgres takes writers at once; work that must exclude others locks its rows (`with_for_update`).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Final, TypeVar

from sqlalchemy import Connection, event, make_url
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, NoSuchModuleError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

T = TypeVar("T")
Work = Callable[[AsyncConnection], Awaitable[T]]

TRIES: Final = 5
DRIVERS: Final = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg"}


class StorageError(Exception):
    """A database cannot be used; says which, why, and what to do."""


class Database:
    """Transactions on one database. Make it inside the event loop, close it there."""

    def __init__(self, url: str) -> None:
        self.url = _checked(url)
        self.sqlite = self.url.get_backend_name() == "sqlite"
        if self.sqlite:
            self._writer = _sqlite_engine(self.url, pool_size=1, begin="BEGIN IMMEDIATE")
            self._reader = _sqlite_engine(self.url, pool_size=4)
        else:
            self._writer = self._reader = create_async_engine(
                self.url, pool_size=8, max_overflow=0, pool_pre_ping=True
            )
        self._running: set[asyncio.Task[Any]] = set()

    async def write(self, work: Work[T]) -> T:
        """Runs `work` in one transaction, and again when another transaction was faster.

        The transaction ends whole even if the caller is cancelled meanwhile: what it did is then
        found by the caller's next try. `work` may run several times; it must keep no state.
        """
        task = asyncio.create_task(self._transact(work))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return await asyncio.shield(task)

    async def _transact(self, work: Work[T]) -> T:
        for left in reversed(range(TRIES)):
            try:
                async with self._writer.begin() as connection:
                    return await work(connection)
            except IntegrityError:
                if not left:
                    raise
            except DBAPIError as error:
                if not left or not _was_beaten(error):
                    raise
        raise AssertionError

    @asynccontextmanager
    async def read(self) -> AsyncGenerator[AsyncConnection]:
        """A connection to read with; each statement sees the newest state."""
        async with self._reader.connect() as connection:
            yield connection

    @asynccontextmanager
    async def snapshot(self) -> AsyncGenerator[AsyncConnection]:
        """A connection that sees one state of the database throughout."""
        async with self._reader.connect() as connection:
            if self.sqlite:
                await connection.exec_driver_sql("BEGIN")
            else:
                await connection.execution_options(isolation_level="REPEATABLE READ")
            yield connection

    async def migrate(self, step: Callable[[Connection], None]) -> None:
        """Runs schema work on a connection of its own."""
        async with self._writer.begin() as connection:
            await connection.run_sync(step)

    async def close(self) -> None:
        """Waits for the transactions that run, then closes the connections."""
        if self._running:
            await asyncio.wait(self._running)
        await self._writer.dispose()
        if self._reader is not self._writer:
            await self._reader.dispose()


def _checked(url: str) -> URL:
    try:
        parsed = make_url(url)
        backend = parsed.get_backend_name()
    except (ArgumentError, NoSuchModuleError):
        raise StorageError(
            "storage is not a database URL; write for example "
            "sqlite+aiosqlite:////var/lib/shop/orders.db or postgresql+asyncpg://host/orders"
        ) from None
    if backend not in DRIVERS:
        raise StorageError(
            f"storage is on {backend}; sqlite and postgresql are supported, as "
            "sqlite+aiosqlite:///PATH or postgresql+asyncpg://HOST/DATABASE"
        )
    return parsed.set(drivername=DRIVERS[backend])


def _sqlite_engine(url: URL, *, pool_size: int, begin: str = "") -> AsyncEngine:
    # Every transaction here ends by itself: rolling back once more would be another trip to the
    # connection's thread.
    engine = create_async_engine(
        url, pool_size=pool_size, max_overflow=0, pool_timeout=60, pool_reset_on_return=None
    )

    def prepare(connection: Any, _record: object) -> None:
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in (
            "journal_mode=WAL",
            "synchronous=NORMAL",
            "busy_timeout=10000",
            "foreign_keys=ON",
            "cache_size=-16000",
        ):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    def start(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    event.listen(engine.sync_engine, "connect", prepare)
    if begin:
        event.listen(engine.sync_engine, "begin", start)
    return engine


def _was_beaten(error: DBAPIError) -> bool:
    """Whether Postgres gave up this transaction for another (serialization, deadlock)."""
    return getattr(error.orig, "sqlstate", "") in {"40001", "40P01"}
