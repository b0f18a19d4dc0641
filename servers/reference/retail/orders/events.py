"""What happened to orders, for others to follow: an outbox with revisions that have no gap.

An event is written in the transaction that changes the order, so that neither is there without the
other.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import NamedTuple

from sqlalchemy import Connection

from acme.retail.orders.v1 import orders_pb2 as pb
from meshpact.servers.storage.database import Database
from meshpact.servers.storage.feed import ChangeFeed
from meshpact.servers.storage.outbox import Entry, Event, Outbox
from reference.money import money
from reference.retail.orders.model import Charge, Line, Order, State, total_of
from reference.retail.orders.tables import EVENTS, metadata


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


class Events:
    """The events in one database."""

    def __init__(self, database: Database) -> None:
        self.outbox = Outbox(database, metadata, EVENTS)
        self._feed = ChangeFeed(self.outbox)

    def append(self, connection: Connection, happened: Sequence[Happened]) -> None:
        """Writes events in the caller's transaction; to be called last in it."""
        if happened:
            self.outbox.append(connection, [_event(each) for each in happened])

    async def follow(self, after: int) -> AsyncGenerator[list[pb.OrderEvent]]:
        """All events after a revision, and then those to come, as ChangeFeed.follow has them."""
        async with aclosing(self._feed.follow(after)) as batches:
            async for batch in batches:
                yield [_message(entry) for entry in batch]


def _message(entry: Entry) -> pb.OrderEvent:
    event = pb.OrderEvent.FromString(entry.payload)
    event.revision = entry.revision
    event.event_time.FromDatetime(entry.at)
    return event


def _event(happened: Happened) -> Event:
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
    event.place_time.FromDatetime(order.placed_at)
    name = pb.OrderEventKind.Name(happened.kind).removeprefix("ORDER_EVENT_KIND_")
    return Event(name, event.SerializeToString())
