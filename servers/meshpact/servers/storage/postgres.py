"""Postgres: a pool of connections in the event loop (asyncpg), all in the service's schema."""

from __future__ import annotations

import asyncio
import importlib
import logging
import socket
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final, TypeVar

from sqlalchemy import Connection, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool
from sqlalchemy.schema import CreateSchema

from meshpact.interceptors.errors import DOMAIN, INVALID_REQUEST, StatusError
from meshpact.servers.storage.errors import StorageError, StorageUnavailable
from meshpact.servers.storage.pglisten import Listener
from meshpact.servers.storage.pgvalues import keep_values_out
from meshpact.servers.storage.signals import Signals

T = TypeVar("T")
log = logging.getLogger(__name__)

TRIES: Final = 5
CONNECT_WITHIN: Final = 5.0
ANSWER_WITHIN: Final = 60.0
"""Seconds: a server that says nothing for so long counts as gone."""
VANISHED: Final = 20
"""Seconds without any sign of the server's host after which its connections end (RFC 5482)."""
BEATEN: Final = frozenset({"40001", "40P01"})
"""Another transaction was faster: serialization failure, deadlock."""
AWAY: Final = ("08", "28", "3D", "53", "57P01", "57P02", "57P03", "57P05")
"""How states begin that speak of the server, or of the way to it, not of the statement."""
UNSTORABLE: Final = "22021"
"""A text holds what Postgres cannot: a zero character."""
CLOSED: Final = "55000"
"""The database takes no connections; a statement may end with it, too."""


class PostgresStore:
    """The Store of one schema of a Postgres database."""

    def __init__(self, url: URL, schema: str, signals: Signals, *, pool: int) -> None:
        self._url = url
        self._schema = schema
        self._where = url.render_as_string(hide_password=True)
        self._away = False
        self._opened = set[Any]()
        self.engine = self._engine(pool_size=pool, max_overflow=0, pool_timeout=30)
        self._snapshots = self.engine.execution_options(
            isolation_level="REPEATABLE READ", postgresql_readonly=True
        )
        self._listener = Listener(
            lambda: self._engine(poolclass=NullPool), schema, signals, self._cut
        )
        self._writing = set[asyncio.Task[Any]]()
        self._reading = set[asyncio.Task[Any]]()
        self._closing = False

    def _engine(self, **options: Any) -> AsyncEngine:
        settings = {"jit": "off"}
        if self._schema:
            settings["search_path"] = _quoted(self._schema)
        arguments = {
            "timeout": CONNECT_WITHIN,
            "command_timeout": ANSWER_WITHIN,
            "server_settings": settings,
        }
        try:
            # Values are people's: what fails is logged without them.
            engine = create_async_engine(
                self._url,
                connect_args={**arguments, "connection_class": _connection_class(self._opened)},
                hide_parameters=True,
                **options,
            )
        except ImportError as error:
            raise StorageError(
                f"{error}: a database on Postgres needs pip install 'meshpact[storage,postgres]'"
            ) from error
        keep_values_out(engine)
        return engine

    async def write(self, work: Callable[[Connection], T], /) -> T:
        """As Database.write."""
        return await _whole(self._tried(lambda: self._transact(work)), self._writing)

    async def read(self, work: Callable[[Connection], T], /) -> T:
        """As Database.read."""

        async def look() -> T:
            self._refuse_late()
            async with self._snapshots.connect() as connection:
                self._refuse_late()
                return await connection.run_sync(work)

        return await _whole(self._tried(look), self._reading)

    async def migrate(self, step: Callable[[Connection], None], /) -> None:
        """As Database.migrate; makes the schema first."""
        if self._schema:
            await self._make_schema()

        def alone(connection: Connection) -> None:
            connection.execute(_LOCK, {"name": f"meshpact.migrate.{self._schema}"})
            step(connection)

        await self.write(alone)

    def say(self, connection: Connection, channel: str, /) -> None:
        """As Database.say."""
        connection.execute(_NOTIFY, {"channel": self._listener.name(channel)})

    def want(self, channel: str, /) -> None:
        """Someone listens to a channel."""
        if not self._closing:
            self._listener.want(channel)

    async def close(self) -> None:
        """As Database.close."""
        self._closing = True
        await self._listener.close()
        if self._writing:
            await asyncio.wait(self._writing)
        self._cut()
        if self._reading:
            await asyncio.wait(self._reading)
        self._cut()
        await self.engine.dispose()

    def _refuse_late(self) -> None:
        """What reads while the database closes would open a connection that nobody closes."""
        if self._closing:
            raise StorageUnavailable(f"{self._where}: the service has closed its database")

    async def _transact(self, work: Callable[[Connection], T]) -> T:
        async with self.engine.connect() as connection:
            result = await connection.run_sync(work)
            await self._commit(connection)
            return result

    async def _commit(self, connection: AsyncConnection) -> None:
        try:
            await connection.commit()
        except Exception as error:
            if _is_away(error):
                raise self._gone(error) from error
            raise

    async def _tried(self, attempt: Callable[[], Awaitable[T]]) -> T:
        """Once more when another transaction was faster, or the connection was an old one."""
        for left in reversed(range(TRIES)):
            try:
                found = await attempt()
            except IntegrityError:
                if not left:
                    raise
            except Exception as error:
                stale = isinstance(error, DBAPIError) and error.connection_invalidated
                if left and (stale or _state(error) in BEATEN):
                    continue
                if _is_away(error):
                    raise self._gone(error) from error
                if _state(error) == UNSTORABLE:
                    raise _no_text() from error
                raise
            else:
                self._back()
                return found
        raise AssertionError

    def _cut(self) -> None:
        """Ends all connections at once, for a good end waits for an answer; those who use one go on
        with another.
        """
        for each in list(self._opened):
            each.terminate()

    async def _make_schema(self) -> None:
        # On a connection of its own: the others learn at their first use which schema they are in.
        engine = self._engine(poolclass=NullPool)

        async def make() -> None:
            async with engine.connect() as connection:
                await connection.execute(_LOCK, {"name": f"meshpact.schema.{self._schema}"})
                await connection.execute(CreateSchema(self._schema, if_not_exists=True))
                await connection.commit()

        try:
            await _whole(self._tried(make), self._writing)
        finally:
            await engine.dispose()

    def _gone(self, error: BaseException) -> StorageUnavailable:
        reason = error.orig if isinstance(error, DBAPIError) else error
        detail = f"{self._where}: {reason or type(reason).__name__}"
        if not self._away:
            self._away = True
            log.warning("the database is unavailable: %s", detail)
        return StorageUnavailable(detail)

    def _back(self) -> None:
        if self._away:
            self._away = False
            log.warning("the database is available again: %s", self._where)


async def _whole(work: Coroutine[Any, Any, T], running: set[asyncio.Task[Any]]) -> T:
    """What `work` gives; it runs to its end even if the caller is cancelled meanwhile, for a
    connection whose user is cancelled at the wrong moment is lost."""
    task = asyncio.create_task(work)
    running.add(task)
    task.add_done_callback(running.discard)
    task.add_done_callback(_seen)
    return await asyncio.shield(task)


def _seen(task: asyncio.Task[Any]) -> None:
    """Takes note of how work ended whose caller may have left: otherwise asyncio logs it."""
    if not task.cancelled():
        task.exception()


_NOTIFY: Final = text("SELECT pg_notify(:channel, '')")
_LOCK: Final = text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))")


def _connection_class(opened: set[Any]) -> type:
    """asyncpg's connection, noted in `opened` until it is closed, on a socket that ends when its
    host vanishes."""
    plain: Any = importlib.import_module("asyncpg").Connection

    def begin(self: Any, protocol: object, transport: asyncio.Transport, *further: Any) -> None:
        plain.__init__(self, protocol, transport, *further)
        _keep_alive(transport.get_extra_info("socket"))
        opened.difference_update([each for each in opened if each.is_closed()])
        opened.add(self)

    return type("Connection", (plain,), {"__init__": begin})


def _keep_alive(opened: socket.socket) -> None:
    if opened.family == socket.AF_UNIX:
        return
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, VANISHED // 2)
    opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, VANISHED // 4)
    opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, VANISHED * 1000)


def _no_text() -> StatusError:
    return StatusError(
        INVALID_REQUEST.code,
        "Invalid request: a text in it has a zero character, which cannot be stored; leave it out",
        reason=INVALID_REQUEST.name,
        domain=DOMAIN,
    )


def _quoted(schema: str) -> str:
    if not schema or "\0" in schema or len(schema.encode()) > 63:
        raise StorageError(f"{schema!r} is no name of a schema: 1 to 63 bytes are allowed")
    return '"' + schema.replace('"', '""') + '"'


def _state(error: BaseException) -> str:
    cause = error.orig if isinstance(error, DBAPIError) else error
    return str(getattr(cause, "sqlstate", "") or "")


def _is_away(error: BaseException) -> bool:
    if isinstance(error, OSError | PoolTimeoutError):
        return True
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return True
    state = _state(error)
    connecting = isinstance(error, DBAPIError) and error.statement is None
    return state.startswith(AWAY) or (connecting and state == CLOSED)
