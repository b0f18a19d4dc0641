"""A transactional outbox: events written with the state they speak of, in revisions without gaps.

The revision is counted in a row that a transaction holds to its end. Revisions therefore become
visible in their order, and one that is undone leaves no gap: who has seen revision 7 has seen all
before it, also while many write at once (which a sequence of Postgres does not give). The price:
from `append` to the commit there is one writer at a time, so append last.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    bindparam,
    delete,
    insert,
    select,
    update,
)

from meshpact.servers.storage.database import Database

ROW: Final = 1
"""The only row of a head."""


class Event(NamedTuple):
    """Something that happened: what kind of thing, and its message, serialized."""

    kind: str
    payload: bytes


class Entry(NamedTuple):
    """An event as it stands in an outbox."""

    revision: int
    at: datetime
    kind: str
    payload: bytes


class Head(NamedTuple):
    """What an outbox holds: the events after revision `oldest`, up to `newest`; 0 before any."""

    oldest: int
    newest: int


class RevisionGone(Exception):
    """The events right after a revision cannot be had: they were pruned, or there was no such one.

    Who follows must begin anew, from a snapshot. `head` says what there is.
    """

    def __init__(self, revision: int, head: Head) -> None:
        super().__init__(
            f"there are no events after revision {revision}; those after {head.oldest} up to "
            f"{head.newest} are there: begin with a new snapshot"
        )
        self.revision = revision
        self.head = head


def outbox_columns() -> list[Column[Any]]:
    """The columns of an outbox's table of events, for the model and the migration."""
    return [
        Column("revision", BigInteger, primary_key=True, autoincrement=False),
        Column("at_us", BigInteger, nullable=False),
        Column("kind", String(200), nullable=False),
        Column("payload", LargeBinary, nullable=False),
    ]


def head_columns() -> list[Column[Any]]:
    """The columns of an outbox's head, for the model and the migration."""
    return [
        Column("row", Integer, primary_key=True, autoincrement=False),
        Column("oldest", BigInteger, nullable=False),
        Column("newest", BigInteger, nullable=False),
    ]


class Outbox:
    """An outbox in one database: the tables NAME and NAME_head. One `database` may have several;
    who appends to two in one transaction does it everywhere in the same order.
    """

    def __init__(
        self,
        database: Database,
        metadata: MetaData,
        name: str = "outbox",
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.database = database
        self.channel = f"outbox.{name}"
        self._clock = clock
        self._events = _table(metadata, name, outbox_columns)
        self._head = _table(metadata, f"{name}_head", head_columns)
        head = self._head.c
        # Made once: putting a statement together costs more than running it.
        self._counting = (
            update(self._head)
            .where(head.row == ROW)
            .values(newest=head.newest + bindparam("more"))
            .returning(head.newest)
        )
        self._adding = insert(self._events)

    def append(self, connection: Connection, events: Sequence[Event]) -> int:
        """Writes events in the caller's transaction, and gives the newest revision then.

        Call it last: until the transaction ends, others who append wait.
        """
        count = len(events)
        if not count:
            return self.head(connection).newest
        newest = connection.execute(self._counting, {"more": count}).scalar()
        if newest is None:
            first = {"row": ROW, "oldest": 0, "newest": count}
            connection.execute(insert(self._head), first)
            newest = count
        now = int(self._clock() * 1_000_000)
        connection.execute(
            self._adding,
            [
                {"revision": revision, "at_us": now, "kind": event.kind, "payload": event.payload}
                for revision, event in enumerate(events, newest - count + 1)
            ],
        )
        self.database.say(connection, self.channel)
        return int(newest)

    def head(self, connection: Connection) -> Head:
        """What there is."""
        found = connection.execute(select(self._head.c.oldest, self._head.c.newest)).first()
        return Head(0, 0) if found is None else Head(*found)

    def after(self, connection: Connection, revision: int, limit: int) -> list[Entry]:
        """Up to `limit` events after a revision, in order. Raises RevisionGone."""
        events = self._events.c
        rows = connection.execute(
            select(events.revision, events.at_us, events.kind, events.payload)
            .where(events.revision > revision)
            .order_by(events.revision)
            .limit(limit)
        ).all()
        if not rows or rows[0].revision != revision + 1:
            head = self.head(connection)
            if not head.oldest <= revision <= head.newest:
                raise RevisionGone(revision, head)
        return [Entry(row.revision, _time(row.at_us), row.kind, bytes(row.payload)) for row in rows]

    def prune(
        self,
        connection: Connection,
        *,
        older_than: float,
        needed: Iterable[int] = (),
        limit: int = 10_000,
    ) -> int:
        """Takes away events that are more than `older_than` seconds old, `limit` at most; gives
        their number. `needed` are revisions (of dispatchers) after which all must stay.
        """
        events, head = self._events.c, self._head.c
        locked = connection.execute(select(head.oldest, head.newest).with_for_update()).first()
        if locked is None:
            return 0
        before = int((self._clock() - older_than) * 1_000_000)
        # Only the first ones are looked at: no table is read whole while others wait to append.
        first = (
            select(events.revision, events.at_us)
            .where(events.revision > locked.oldest)
            .order_by(events.revision)
            .limit(limit)
        )
        last = locked.oldest
        for row in connection.execute(first):
            if row.at_us > before:
                break
            last = row.revision
        last = min((last, *needed))
        if last <= locked.oldest:
            return 0
        connection.execute(delete(self._events).where(events.revision <= last))
        connection.execute(update(self._head).where(head.row == ROW).values(oldest=last))
        return int(last - locked.oldest)


def _table(metadata: MetaData, name: str, columns: Callable[[], list[Column[Any]]]) -> Table:
    found = metadata.tables.get(name)
    return Table(name, metadata, *columns()) if found is None else found


def _time(microseconds: int) -> datetime:
    return datetime.fromtimestamp(microseconds / 1_000_000, UTC)
