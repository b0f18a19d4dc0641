"""Returns: which sale the goods came from, and whether the warehouse has them back.

A line matches the customer's latest sale of its SKU that still has items out; what that sale does
not cover is unmatched: it is written down and does not enter the stock.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from sqlalchemy import Connection, insert, select, update

from acme.retail.orders.v1 import orders_pb2 as pb
from meshpact.servers.storage.content import digest
from meshpact.servers.storage.database import Database
from reference.retail.orders.book import ReusedRequest, order_of
from reference.retail.orders.events import Events, Happened
from reference.retail.orders.model import Line, Order, Returned, State, name_of
from reference.retail.orders.tables import order_lines, orders, return_lines, returns


class Return(NamedTuple):
    """One return. `done`: the warehouse has taken back what is matched."""

    id: str
    lines: tuple[Returned, ...]
    done: bool

    def items(self) -> dict[str, int]:
        """Matched items by SKU."""
        total: dict[str, int] = {}
        for line in self.lines:
            if line.matched:
                total[line.sku] = total.get(line.sku, 0) + line.matched
        return dict(sorted(total.items()))


class Returns:
    """The returns in one database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._events = Events(database)

    async def take(self, name: str, customer: str, lines: Sequence[tuple[str, int]]) -> Return:
        """Matches a return with the customer's sales and writes it down, or gives the one of that
        name. Raises ReusedRequest.
        """
        content = digest(customer, lines)

        def book(connection: Connection) -> Return:
            found = _find(connection, name)
            if found is not None:
                known = select(returns.c.content).where(returns.c.id == name)
                if connection.execute(known).scalar_one() != content:
                    raise ReusedRequest(name)
                return found
            sales: dict[str, list[Line]] = {}
            matched = [_match(connection, customer, *line, sales) for line in lines]
            back = _write(connection, name, customer, content, matched)
            self._events.append(connection, _told(connection, name, sales))
            return back

        return await self._database.write(book)

    async def take_whole(self, order: Order) -> Return:
        """Takes back all of a shipped order that is still out, and marks it cancelled."""
        name = name_of(order.customer, order.id, "cancel")

        def book(connection: Connection) -> Return:
            found = _find(connection, name)
            if found is not None:
                return found
            rows = connection.execute(
                select(order_lines)
                .where(order_lines.c.order_id == order.id)
                .order_by(order_lines.c.position)
                .with_for_update()
            )
            out = [
                Line(row.sku, row.quantity - row.returned, row.unit_price)
                for row in rows
                if row.quantity > row.returned
            ]
            back = [Returned(line.sku, line.quantity, 0, order.id) for line in out]
            connection.execute(
                update(order_lines)
                .where(order_lines.c.order_id == order.id)
                .values(returned=order_lines.c.quantity)
            )
            connection.execute(
                update(orders).where(orders.c.id == order.id).values(state=State.CANCELLED)
            )
            taken = _write(connection, name, order.customer, digest(order.id), back)
            cancelled = Happened(pb.ORDER_EVENT_KIND_CANCELLED, order, out, name)
            self._events.append(connection, [cancelled])
            return taken

        return await self._database.write(book)

    async def of_cancel(self, order: Order) -> Return | None:
        """What cancelling a shipped order brought back."""
        return await self.find(name_of(order.customer, order.id, "cancel"))

    async def find(self, name: str) -> Return | None:
        """A return by its name."""
        return await self._database.read(lambda connection: _find(connection, name))

    async def finish(self, name: str) -> None:
        """Notes that the warehouse has taken the goods back."""

        def book(connection: Connection) -> None:
            connection.execute(update(returns).where(returns.c.id == name).values(state="done"))

        await self._database.write(book)

    async def unfinished(self) -> list[str]:
        """Names of returns that the warehouse may not know of yet."""
        wanted = select(returns.c.id).where(returns.c.state == "open")
        return await self._database.read(lambda opened: list(opened.execute(wanted).scalars()))


def _find(connection: Connection, name: str) -> Return | None:
    state = connection.execute(select(returns.c.state).where(returns.c.id == name)).scalar()
    if state is None:
        return None
    rows = connection.execute(
        select(
            return_lines.c.sku,
            return_lines.c.matched,
            return_lines.c.unmatched,
            return_lines.c.order_id,
        )
        .where(return_lines.c.return_id == name)
        .order_by(return_lines.c.position)
    )
    return Return(name, tuple(Returned(*row) for row in rows), state == "done")


def _match(
    connection: Connection,
    customer: str,
    sku: str,
    quantity: int,
    sales: dict[str, list[Line]],
) -> Returned:
    """Matches one line, and adds what it matched to the lines of its sale in `sales`."""
    sale = (
        connection.execute(
            select(
                order_lines.c.order_id,
                order_lines.c.position,
                order_lines.c.unit_price,
                (order_lines.c.quantity - order_lines.c.returned).label("out"),
            )
            .join(orders, orders.c.id == order_lines.c.order_id)
            .where(
                orders.c.customer == customer,
                orders.c.state == State.SHIPPED,
                order_lines.c.sku == sku,
                order_lines.c.returned < order_lines.c.quantity,
            )
            .order_by(orders.c.placed_at.desc(), orders.c.id, order_lines.c.position.desc())
            .limit(1)
            .with_for_update()
        )
    ).first()
    if sale is None:
        return Returned(sku, 0, quantity, "")
    matched = min(quantity, sale.out)
    connection.execute(
        update(order_lines)
        .where(order_lines.c.order_id == sale.order_id, order_lines.c.position == sale.position)
        .values(returned=order_lines.c.returned + matched)
    )
    sales.setdefault(sale.order_id, []).append(Line(sku, matched, sale.unit_price))
    return Returned(sku, matched, quantity - matched, sale.order_id)


def _told(connection: Connection, name: str, sales: dict[str, list[Line]]) -> list[Happened]:
    """An event for each sale that goods came back from."""
    if not sales:
        return []
    rows = connection.execute(select(orders).where(orders.c.id.in_(list(sales))))
    found = {row.id: order_of(row) for row in rows}
    return [
        Happened(pb.ORDER_EVENT_KIND_RETURNED, found[order_id], lines, name)
        for order_id, lines in sales.items()
    ]


def _write(
    connection: Connection, name: str, customer: str, content: str, lines: list[Returned]
) -> Return:
    done = not any(line.matched for line in lines)
    connection.execute(
        insert(returns),
        {
            "id": name,
            "customer": customer,
            "state": "done" if done else "open",
            "content": content,
            "made_at": datetime.now(UTC),
        },
    )
    if lines:
        connection.execute(
            insert(return_lines),
            [
                {"return_id": name, "position": position, **line._asdict()}
                for position, line in enumerate(lines)
            ],
        )
    return Return(name, tuple(lines), done)
