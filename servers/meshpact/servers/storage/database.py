"""One service's database: work that reads, work that writes, in one transaction each.

Work is a plain function of a SQLAlchemy Connection, the same for both kinds of database:

    def book(connection: Connection) -> int: ...
    items = await database.write(book)

SQLite runs it in a thread of its own, Postgres in the event loop. It must not end the transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Final, Protocol, TypeVar

from sqlalchemy import Connection, make_url
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from meshpact.servers.storage.errors import StorageError, StorageUnavailable
from meshpact.servers.storage.signals import Signal, Signals

__all__ = ["Database", "StorageError", "StorageUnavailable", "Work"]

T = TypeVar("T")
Work = Callable[[Connection], T]

CONNECTIONS: Final = 7
"""Connections to Postgres of one process, at most."""
LISTENING: Final = 1
FEWEST: Final = 1 + LISTENING
DRIVERS: Final = {"sqlite": "sqlite", "postgresql": "postgresql+asyncpg"}


class Store(Protocol):
    """One kind of database."""

    async def write(self, work: Work[T], /) -> T:
        """As Database.write."""
        ...

    async def read(self, work: Work[T], /) -> T:
        """As Database.read."""
        ...

    async def migrate(self, step: Work[None], /) -> None:
        """As Database.migrate."""
        ...

    def say(self, connection: Connection, channel: str, /) -> None:
        """As Database.say."""
        ...

    def want(self, channel: str, /) -> None:
        """Someone listens to a channel."""
        ...

    async def close(self) -> None:
        """As Database.close."""
        ...


class Database:
    """Transactions on one database. Make it inside the event loop, close it there.

    `url` is `sqlite:///PATH` or `postgresql+asyncpg://HOST/DATABASE`; `schema` is the schema on
    Postgres that holds all tables of the service (made by `migrate`), so that services may share a
    database; SQLite has a file a service, and ignores it. `connections` are those to Postgres at
    most; one of them listens. Raises StorageError for other URLs.

    A database that goes away is found again without a restart; until then `write` and `read` raise
    StorageUnavailable.
    """

    def __init__(self, url: str, *, schema: str = "", connections: int = CONNECTIONS) -> None:
        if connections < FEWEST:
            raise StorageError(
                f"connections is {connections}; allowed: {FEWEST} or more, one of them listens"
            )
        self.url = _checked(url)
        self._connections = connections
        self.schema = schema
        self.sqlite = self.url.get_backend_name() == "sqlite"
        self.signals = Signals()
        self._store = self._opened()
        self._closed = False
        self._well = True
        self._troubled: Callable[[], object] | None = None
        self.unwritable = False
        """Whether the last transaction that was to write found the database away."""

    async def write(self, work: Work[T]) -> T:
        """Runs `work` in one transaction, and gives what it gave once that is committed.

        What `work` raises undoes what it did, and is raised here. The transaction ends whole even
        if the caller is cancelled meanwhile: what it did is found by the caller's next try. `work`
        may run several times (another transaction was faster); it must keep no state.
        """
        try:
            found = await self._there().write(work)
        except StorageUnavailable:
            self._trouble(unwritable=True)
            raise
        self._well = True
        self.unwritable = False
        return found

    async def read(self, work: Work[T]) -> T:
        """Runs `work` on one state of the database, and gives what it gave.

        Rows must be taken out of the result before `work` ends. It runs to its end even if the
        caller is cancelled meanwhile.
        """
        try:
            found = await self._there().read(work)
        except StorageUnavailable:
            self._trouble(unwritable=self.unwritable)
            raise
        self._well = not self.unwritable
        return found

    async def migrate(self, step: Work[None]) -> None:
        """Runs schema work in one transaction, one process at a time."""
        await self._there().migrate(step)

    def on_trouble(self, tell: Callable[[], object]) -> None:
        """`tell` is called when a transaction finds the database away, the first one only until
        one succeeds again."""
        self._troubled = tell

    def _trouble(self, *, unwritable: bool) -> None:
        first, self._well, self.unwritable = self._well, False, unwritable
        if first and self._troubled is not None:
            self._troubled()

    def say(self, connection: Connection, channel: str) -> None:
        """Called in the work of `write`: wakes those who `listen` once it is committed.

        On SQLite those in this process only; on Postgres in all (LISTEN, NOTIFY).
        """
        self._store.say(connection, channel)

    @contextmanager
    def listen(self, channel: str) -> Generator[Signal]:
        """A signal that is set by what is said on `channel`, for as long as the context lasts.

        It may be set without cause, and is whenever something may have been missed: look then.
        """
        with self.signals.listen(channel) as signal:
            self._store.want(channel)
            yield signal

    async def close(self) -> None:
        """Waits for the transactions that write, then closes the connections.

        What comes from now on is refused, and on Postgres what reads is ended: StorageUnavailable.
        """
        self._closed = True
        await self._store.close()

    def _there(self) -> Store:
        if self._closed:
            where = self.url.render_as_string(hide_password=True)
            raise StorageUnavailable(f"{where}: the service has closed its database")
        return self._store

    def _opened(self) -> Store:
        if self.sqlite:
            from meshpact.servers.storage.sqlite import SqliteStore

            return SqliteStore(self.url, self.signals)
        from meshpact.servers.storage.postgres import PostgresStore

        return PostgresStore(
            self.url, self.schema, self.signals, pool=self._connections - LISTENING
        )


def _checked(url: str) -> URL:
    try:
        parsed = make_url(url)
        backend = parsed.get_backend_name()
    except (ArgumentError, NoSuchModuleError):
        raise StorageError(
            "storage is not a database URL; write for example "
            "sqlite:////var/lib/shop/orders.db or postgresql+asyncpg://host/orders"
        ) from None
    if backend not in DRIVERS:
        raise StorageError(
            f"storage is on {backend}; sqlite and postgresql are supported, as "
            "sqlite:///PATH or postgresql+asyncpg://HOST/DATABASE"
        )
    if backend == "sqlite" and parsed.database in {None, "", ":memory:"}:
        raise StorageError("storage is SQLite in memory; name a file: sqlite:///PATH")
    return parsed.set(drivername=DRIVERS[backend])
