"""SQLite: one thread that writes, a few that read meanwhile (WAL).

Transactions that wait are committed as one, each in a savepoint of its own. With synchronous=NORMAL
a crash of the process loses nothing; a power cut may lose the last commits, never the consistency.
"""

from __future__ import annotations

import asyncio
import contextlib
import enum
import logging
import os
import queue
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

from sqlalchemy import Connection, create_engine
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from meshpact.servers.storage.errors import StorageUnavailable
from meshpact.servers.storage.signals import Signals, note, noted

T = TypeVar("T")
log = logging.getLogger(__name__)

GROUP: Final = 64
"""Transactions that are committed as one, at most."""
READERS: Final = 3
PATIENCE: Final = 1500
"""Milliseconds that a transaction waits for another program's; callers have little more time."""
PATIENCE_LEFT: Final = 100
"""Milliseconds while the file is locked for longer than that: whoever comes is told at once."""
PATIENCE_MIGRATING: Final = 30_000
PRAGMAS: Final = (
    "journal_mode=WAL",
    "synchronous=NORMAL",
    f"busy_timeout={PATIENCE}",
    "foreign_keys=ON",
    "cache_size=-16000",
)
AWAY: Final = frozenset(
    {
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PROTOCOL,
        sqlite3.SQLITE_NOTADB,
    }
)
"""Primary result codes that speak of the file, not of the statement."""


class _Gone(Exception):
    """The file is not where it was."""


class _Away(enum.Enum):
    """What the file cannot be used for."""

    READING = enum.auto()
    WRITING = enum.auto()


class _Job(NamedTuple):
    work: Callable[[Connection], Any]
    done: asyncio.Future[Any]
    patience: int = 0
    """Milliseconds, if it waits longer than others for its turn."""


class _Ended(NamedTuple):
    """How a job ended: its value, or why it failed."""

    job: _Job
    value: object
    error: BaseException | None


class _Line:
    """One thread's connection to the file."""

    def __init__(self, store: SqliteStore) -> None:
        self._store = store
        self._connection: Connection | None = None
        self._file: tuple[int, int] | None = None
        self._patience = PATIENCE

    def connection(self) -> Connection:
        """The connection, opened anew when another file has taken the place of the one it had."""
        file = self._store.file()
        if self._connection is None or self._file != file:
            self.close()
            self._connection = self._store.engine.connect()
            self._file = self._store.opened()
            self._patience = PATIENCE
        return self._connection

    def begin(self, raw: Any, patience: int) -> None:
        """Begins to write, once other programs are done; `patience` in milliseconds."""
        if patience != self._patience:
            raw.execute(f"PRAGMA busy_timeout={patience}")
            self._patience = patience
        raw.execute("BEGIN IMMEDIATE")

    def close(self) -> None:
        """Closes it; `connection` opens another."""
        if self._connection is not None:
            with contextlib.suppress(DBAPIError, sqlite3.Error):
                self._connection.close()
            self._connection = None


class SqliteStore:
    """The Store of one SQLite file."""

    def __init__(self, url: URL, signals: Signals) -> None:
        self._signals = signals
        self._path = Path(url.database or "").absolute()
        self._seen = False
        self._away: _Away | None = None
        # Values are people's: what fails is logged without them.
        self.engine = create_engine(
            "sqlite://", creator=self._connect, poolclass=NullPool, hide_parameters=True
        )
        self._loop = asyncio.get_running_loop()
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._writer: threading.Thread | None = None
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="sqlite-reader")
        self._lines: list[_Line] = []
        self._local = threading.local()

    async def write(self, work: Callable[[Connection], T], /) -> T:
        """As Database.write."""
        return await self._written(work)

    async def _written(self, work: Callable[[Connection], T], patience: int = 0) -> T:
        if self._writer is None:
            self._writer = threading.Thread(target=self._run, name="sqlite-writer", daemon=True)
            self._writer.start()
        done: asyncio.Future[T] = self._loop.create_future()
        self._jobs.put(_Job(work, done, patience))
        return await done

    async def read(self, work: Callable[[Connection], T], /) -> T:
        """As Database.read."""
        return await self._loop.run_in_executor(self._readers, self._look, work)

    async def migrate(self, step: Callable[[Connection], None], /) -> None:
        """As Database.migrate."""
        await self._written(step, PATIENCE_MIGRATING)

    def say(self, connection: Connection, channel: str, /) -> None:
        """As Database.say."""
        note(connection, channel)

    def want(self, channel: str, /) -> None:
        """Nothing to do: what this process commits is told, what others do is not."""

    async def close(self) -> None:
        """As Database.close."""
        if self._writer is not None:
            self._jobs.put(None)
            await asyncio.to_thread(self._writer.join)
            self._writer = None
        await asyncio.to_thread(self._readers.shutdown)
        for line in self._lines:
            line.close()
        self.engine.dispose()

    def file(self) -> tuple[int, int] | None:
        """Which file stands at the path now. Raises _Gone when it is none any more."""
        try:
            found = self._path.stat()
        except OSError as error:
            if self._seen:
                raise _Gone(str(error)) from error
            return None
        return found.st_dev, found.st_ino

    def opened(self) -> tuple[int, int] | None:
        """Notes that the file was opened: from now on it must be there."""
        self._seen = True
        return self.file()

    def _connect(self) -> sqlite3.Connection:
        if not self._seen:
            # Readable by its owner only; SQLite gives its other files the same mode.
            with contextlib.suppress(OSError):
                os.close(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        connection = sqlite3.connect(
            f"{self._path.as_uri()}?mode=rw",
            uri=True,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=512,
        )
        for pragma in PRAGMAS:
            connection.execute(f"PRAGMA {pragma}")
        return connection

    def _run(self) -> None:
        """The thread that writes."""
        line = _Line(self)
        while (job := self._jobs.get()) is not None:
            group, last = [job], False
            with contextlib.suppress(queue.Empty):
                while len(group) < GROUP and not last:
                    more = self._jobs.get_nowait()
                    if more is None:
                        last = True
                    else:
                        group.append(more)
            ended = self._transact(line, group)
            with contextlib.suppress(RuntimeError):  # the loop is gone, and with it who waits
                self._loop.call_soon_threadsafe(_deliver, ended)
            if last:
                break
        line.close()

    def _transact(self, line: _Line, group: list[_Job]) -> list[_Ended]:
        try:
            connection = line.connection()
            raw: Any = connection.connection.driver_connection
            usual = PATIENCE_LEFT if self._away is _Away.WRITING else PATIENCE
            line.begin(raw, max(usual, *(job.patience for job in group)))
            try:
                if len(group) == 1:
                    ended = [_Ended(group[0], _done(group[0].work, connection), None)]
                else:
                    ended = [_one(connection, raw, job) for job in group]
                connection.commit()
                raw.commit()
                said = noted(connection)
            except BaseException:
                noted(connection)
                connection.rollback()
                raw.rollback()
                raise
        except BaseException as error:
            failure = self._judged(error, _Away.WRITING)
            if failure is not error:
                line.close()
            elif len(group) > 1:
                # The commit failed (a deferred constraint) for one of them: each by itself.
                return [each for job in group for each in self._transact(line, [job])]
            return [_Ended(job, None, failure) for job in group]
        self._back(_Away.WRITING)
        if said:
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._signals.say, said)
        return ended

    def _look(self, work: Callable[[Connection], T]) -> T:
        line: _Line | None = getattr(self._local, "line", None)
        if line is None:
            line = self._local.line = _Line(self)
            self._lines.append(line)
        try:
            connection = line.connection()
            raw: Any = connection.connection.driver_connection
            raw.execute("BEGIN")
            try:
                found = _done(work, connection)
            finally:
                connection.rollback()
                raw.rollback()
        except BaseException as error:
            failure = self._judged(error, _Away.READING)
            if failure is error:
                raise
            line.close()
            raise failure from error
        self._back(_Away.READING)
        return found

    def _judged(self, error: BaseException, doing: _Away) -> BaseException:
        """The error as the caller gets it: its own, or StorageUnavailable."""
        if not _is_away(error):
            return error
        detail = f"{self._path}: {error.orig if isinstance(error, DBAPIError) else error}"
        unavailable = StorageUnavailable(detail)
        unavailable.__cause__ = error
        if self._away is None:
            log.warning("the database is unavailable: %s", detail)
        if self._away is not _Away.WRITING:
            self._away = doing
        return unavailable

    def _back(self, doing: _Away) -> None:
        """It could be used. That it can be read does not say that it can be written."""
        if self._away is not None and (doing is _Away.WRITING or self._away is doing):
            self._away = None
            log.warning("the database is available again: %s", self._path)


def _done(work: Callable[[Connection], T], connection: Connection) -> T:
    """What work gives; a StopIteration, which no future takes, as a coroutine has it (PEP 479)."""
    try:
        return work(connection)
    except StopIteration as error:
        raise RuntimeError("the work raised StopIteration") from error


def _one(connection: Connection, raw: Any, job: _Job) -> _Ended:
    """One of several jobs in a transaction: undone alone when it fails."""
    raw.execute("SAVEPOINT job")
    try:
        value = _done(job.work, connection)
    except BaseException as error:
        if _is_away(error) or not raw.in_transaction:
            raise
        raw.execute("ROLLBACK TO job")
        raw.execute("RELEASE job")
        return _Ended(job, None, error)
    raw.execute("RELEASE job")
    return _Ended(job, value, None)


def _deliver(ended: list[_Ended]) -> None:
    for job, value, error in ended:
        if job.done.done():
            continue
        if error is None:
            job.done.set_result(value)
        else:
            job.done.set_exception(error)


def _is_away(error: BaseException) -> bool:
    if isinstance(error, _Gone):
        return True
    cause = error.orig if isinstance(error, DBAPIError) else error
    return isinstance(cause, sqlite3.Error) and getattr(cause, "sqlite_errorcode", 0) & 0xFF in AWAY
