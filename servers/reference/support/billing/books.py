"""The books: an invoice for every order, kept by the orders' events, each booked once.

What is cancelled or comes back is credited, but no more than is left of the invoice after what was
credited and refunded before. Refunds that wait do not count: they fail when they are approved.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, Final

from sqlalchemy import Connection, case, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from acme.retail.orders.v1 import orders_pb2 as orders
from meshpact.servers.storage.database import Database
from reference.money import minor_units
from reference.orderevents import advance, revision
from reference.support.billing.tables import (
    charges,
    credits_,
    customers,
    invoices,
    lines,
    position,
)

log = logging.getLogger(__name__)

PAID: Final = "PAID"
SHIPPED: Final = "SHIPPED"
CANCELLED: Final = "CANCELLED"
"""The states of an invoice, as its contract calls them."""

Row = dict[str, object]


class Books:
    """The invoices of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def revision(self) -> int:
        """Up to which event of the orders everything is booked."""
        return await self._database.read(lambda connection: revision(connection, position))

    async def book(self, events: Sequence[orders.OrderEvent]) -> int:
        """Books what is new among events, in one transaction, and tells the revision after that.

        Gap when they do not go on where the books end, or another process booked meanwhile.
        """

        def work(connection: Connection) -> int:
            new = advance(connection, position, events)
            # An order's first event is its placing, so all of those can go first.
            _bill(connection, [each for each in new if each.kind == orders.ORDER_EVENT_KIND_PLACED])
            _ship(
                connection, [each for each in new if each.kind == orders.ORDER_EVENT_KIND_SHIPPED]
            )
            for event in new:
                if event.kind in _CREDITED:
                    _credit(connection, event)
            return revision(connection, position)

        return await self._database.write(work)


_CREDITED: Final = (orders.ORDER_EVENT_KIND_CANCELLED, orders.ORDER_EVENT_KIND_RETURNED)


def _bill(connection: Connection, events: Iterable[orders.OrderEvent]) -> None:
    placed = {event.order_id.lower(): event for event in events}
    if not placed:
        return
    known = select(invoices.c.invoice_id).where(invoices.c.invoice_id.in_(placed))
    for invoice_id in connection.execute(known).scalars().all():
        del placed[invoice_id]
    billed = [_invoice(invoice_id, event) for invoice_id, event in placed.items()]
    items = [row for invoice_id, event in placed.items() for row in _lines(invoice_id, event)]
    extras = [row for invoice_id, event in placed.items() for row in _charges(invoice_id, event)]
    for table, rows in ((invoices, billed), (lines, items), (charges, extras)):
        if rows:
            connection.execute(insert(table), rows)
    ordered: defaultdict[str, list[orders.OrderEvent]] = defaultdict(list)
    for event in placed.values():
        ordered[event.customer].append(event)
    counted = [_customer(name, ordered[name]) for name in sorted(ordered)]
    if counted:
        connection.execute(_counting(connection), counted)


def _customer(name: str, events: Sequence[orders.OrderEvent]) -> Row:
    last = max(events, key=lambda event: event.place_time.ToMicroseconds())
    return {
        "customer": name,
        "country": last.country,
        "invoice_count": len(events),
        "last_order_at": last.place_time.ToMicroseconds(),
    }


def _invoice(invoice_id: str, event: orders.OrderEvent) -> Row:
    return {
        "invoice_id": invoice_id,
        "customer": event.customer,
        "country": event.country,
        "state": PAID,
        "placed_at": event.place_time.ToMicroseconds(),
        "currency": event.total.currency_code,
        "total": minor_units(event.total),
        "credited": 0,
        "refunded": 0,
        "pending": 0,
    }


def _lines(invoice_id: str, event: orders.OrderEvent) -> Iterable[Row]:
    for number, line in enumerate(event.lines):
        yield {
            "invoice_id": invoice_id,
            "line": number,
            "sku": line.sku.upper(),
            "quantity": line.quantity,
            "credited_quantity": 0,
            "unit_price": minor_units(line.unit_price),
        }


def _charges(invoice_id: str, event: orders.OrderEvent) -> Iterable[Row]:
    for number, charge in enumerate(event.charges):
        yield {
            "invoice_id": invoice_id,
            "line": number,
            "code": charge.code,
            "amount": minor_units(charge.amount),
        }


def _counting(connection: Connection) -> Any:
    kind = sqlite if connection.dialect.name == "sqlite" else postgresql
    rows = kind.insert(customers)
    new, old = rows.excluded, customers.c
    later = new.last_order_at >= old.last_order_at
    return rows.on_conflict_do_update(
        index_elements=[old.customer],
        set_={
            "invoice_count": old.invoice_count + new.invoice_count,
            "country": case((later, new.country), else_=old.country),
            "last_order_at": case((later, new.last_order_at), else_=old.last_order_at),
        },
    )


def _ship(connection: Connection, events: Iterable[orders.OrderEvent]) -> None:
    names = [event.order_id.lower() for event in events]
    if names:
        left = update(invoices).where(invoices.c.invoice_id.in_(names), invoices.c.state == PAID)
        connection.execute(left.values(state=SHIPPED))


def _credit(connection: Connection, event: orders.OrderEvent) -> None:
    mine = invoices.c.invoice_id == event.order_id.lower()
    invoice = connection.execute(select(invoices).where(mine).with_for_update()).first()
    if invoice is None:
        log.error("event %d credits an order that was never billed", event.revision)
        return
    due = minor_units(event.total)
    room = invoice.total - invoice.credited - invoice.refunded
    amount = min(due, max(room, 0))
    changed: Row = {"credited": invoice.credited + amount}
    if event.kind == orders.ORDER_EVENT_KIND_CANCELLED:
        changed["state"] = CANCELLED
    connection.execute(update(invoices).where(mine).values(changed))
    connection.execute(
        insert(credits_).values(
            revision=event.revision,
            invoice_id=invoice.invoice_id,
            happened_at=event.event_time.ToMicroseconds(),
            due=due,
            amount=amount,
        )
    )
    _credit_lines(connection, invoice.invoice_id, event.lines)


def _credit_lines(
    connection: Connection, invoice_id: str, back: Iterable[orders.OrderLine]
) -> None:
    """Counts items as credited: on lines of their SKU, first on those of the same price."""
    bought = connection.execute(
        select(lines).where(lines.c.invoice_id == invoice_id).order_by(lines.c.line)
    ).all()
    counted = {line.line: line.credited_quantity for line in bought}
    for item in back:
        items, price = item.quantity, minor_units(item.unit_price)
        mine = [line for line in bought if line.sku == item.sku.upper()]
        for line in sorted(mine, key=lambda line: line.unit_price != price):
            taken = min(items, line.quantity - counted[line.line])
            counted[line.line] += taken
            items -= taken
    for line in bought:
        if counted[line.line] != line.credited_quantity:
            connection.execute(
                update(lines)
                .where(lines.c.invoice_id == invoice_id, lines.c.line == line.line)
                .values(credited_quantity=counted[line.line])
            )
