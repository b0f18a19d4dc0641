"""What happened to orders, for others to follow: a log with revisions that have no gap.

An event is written in the transaction that changes the order, so that neither is there without the
other. Its revision is counted in a row that the transaction holds to its end: revisions come to
light in their order.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple

from sqlalchemy import Connection, func, insert, select, update

from acme.retail.orders.v1 import orders_pb2 as pb
from meshpact.servers.storage.database import Database
from reference.money import money
from reference.retail.news import News
from reference.retail.orders.model import Charge, Line, Order, State, total_of
from reference.retail.orders.tables import event_head, events

BATCH: Final = 200
"""Events handed out at once at most."""
POLL: Final = 0.5
"""Seconds after which the log is looked at anyway: other processes write it too."""


class RevisionGone(Exception):
    """There are no events right after this revision; `oldest` and `newest` may be asked for."""

    def __init__(self, revision: int, oldest: int, newest: int) -> None:
        super().__init__(f"revision {revision}, the log goes from {oldest} to {newest}")
        self.revision = revision
        self.oldest = oldest
        self.newest = newest


class Happened(NamedTuple):
    """One event before it has a revision."""

    kind: pb.OrderEventKind.ValueType
    order: Order
    lines: Sequence[Line]
    return_id: str = ""


def of_move(order: Order, state: State, lines: Sequence[Line]) -> list[Happened]:
    """What it means that an order comes from its state to another."""
    taken = order.state in (State.CONFIRMED, State.SHIPPED)
    placed = Happened(pb.ORDER_EVENT_KIND_PLACED, order, lines)
    match state:
        case State.CONFIRMED:
            return [placed]
        case State.SHIPPED:
            shipped = Happened(pb.ORDER_EVENT_KIND_SHIPPED, order, lines)
            return [shipped] if taken else [placed, shipped]
        case State.CANCELLED | State.REJECTED if taken:
            return [Happened(pb.ORDER_EVENT_KIND_CANCELLED, order, lines)]
        case _:
            return []


def append(connection: Connection, happened: Sequence[Happened]) -> None:
    """Writes events in the caller's transaction."""
    if not happened:
        return
    counted = update(event_head).values(revision=event_head.c.revision + len(happened))
    newest = connection.execute(counted.returning(event_head.c.revision)).scalar_one()
    now = datetime.now(UTC)
    connection.execute(
        insert(events),
        [
            {"revision": revision, "happened_at": now, "payload": _payload(each, now)}
            for revision, each in enumerate(happened, newest - len(happened) + 1)
        ],
    )


class Events:
    """The log in one database. `published` tells the followers of this process to look."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._news = News()

    def published(self) -> None:
        """To be called after a transaction that wrote events."""
        self._news.ring()

    async def follow(self, after: int) -> AsyncIterator[list[pb.OrderEvent]]:
        """All events after a revision, up to BATCH at once, and then those to come.

        Raises RevisionGone at the begin, and later for a follower who is overtaken by the pruning.
        """
        while True:
            news = self._news.since()
            found = await self._read(after)
            if found:
                yield found
                after = found[-1].revision
                continue
            await self._news.heard(news, POLL)

    async def _read(self, after: int) -> list[pb.OrderEvent]:
        wanted = (
            select(events.c.revision, events.c.payload)
            .where(events.c.revision > after)
            .order_by(events.c.revision)
            .limit(BATCH)
        )

        def look(connection: Connection) -> list[pb.OrderEvent]:
            rows = connection.execute(wanted).all()
            if not rows or rows[0].revision != after + 1:
                newest = connection.execute(select(event_head.c.revision)).scalar_one()
                least = connection.execute(select(func.min(events.c.revision))).scalar()
                oldest = newest if least is None else least - 1
                if not oldest <= after <= newest:
                    raise RevisionGone(after, oldest, newest)
            return [_event(row.revision, row.payload) for row in rows]

        return await self._database.read(look)


def _event(revision: int, payload: bytes) -> pb.OrderEvent:
    event = pb.OrderEvent.FromString(payload)
    event.revision = revision
    return event


def _payload(happened: Happened, now: datetime) -> bytes:
    order, lines = happened.order, happened.lines
    whole = happened.kind == pb.ORDER_EVENT_KIND_PLACED or (
        happened.kind == pb.ORDER_EVENT_KIND_CANCELLED and order.shipped_at is None
    )
    charges: Sequence[Charge] = order.charges if whole else ()
    event = pb.OrderEvent(
        kind=happened.kind,
        order_id=order.id,
        return_id=happened.return_id,
        customer=order.customer,
        country=order.country,
        lines=[
            pb.OrderLine(sku=sku, quantity=quantity, unit_price=money(pence))
            for sku, quantity, pence in lines
        ],
        charges=[pb.Charge(code=code, amount=money(pence)) for code, pence in charges],
        total=money(total_of(lines, charges)),
    )
    event.placed_at.FromDatetime(order.placed_at)
    event.happened_at.FromDatetime(now)
    return event.SerializeToString()
