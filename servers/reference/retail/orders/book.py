"""The order book: orders and their lines, written down before anything else is done about them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, Row, and_, bindparam, func, insert, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from meshpact.servers.storage.content import digest
from meshpact.servers.storage.database import Database
from reference.retail.orders.events import Events, of_move
from reference.retail.orders.model import (
    FINAL,
    Charge,
    Line,
    Order,
    Reason,
    State,
    total_of,
)
from reference.retail.orders.tables import order_lines, orders, return_lines, returns

_ADD_ONCE: Final = {
    True: sqlite.insert(orders).on_conflict_do_nothing(),
    False: postgresql.insert(orders).on_conflict_do_nothing(),
}
"""By whether the database is SQLite."""
_ADD_LINES: Final = insert(order_lines)
_FIND: Final = select(orders).where(orders.c.id == bindparam("id"))
_LINES: Final = (
    select(order_lines.c.sku, order_lines.c.quantity, order_lines.c.unit_price)
    .where(order_lines.c.order_id == bindparam("id"))
    .order_by(order_lines.c.position)
)
_MOVE: Final = (
    update(orders)
    .where(orders.c.id == bindparam("of"), orders.c.state == bindparam("from"))
    .values(state=bindparam("to"), reason=bindparam("why"), shipped_at=bindparam("left_at"))
)


class ReusedRequest(Exception):
    """The request's name was used before, with other content."""


class OrderBook:
    """The orders in one database."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.events = Events(database)

    async def take_down(
        self,
        name: str,
        customer: str,
        country: str,
        lines: Sequence[Line],
        charges: Sequence[Charge],
    ) -> tuple[Order, bool]:
        """Writes a new order down, or gives the one of that name; whether it is new.

        Raises ReusedRequest.
        """
        content = digest(customer, country, lines, charges)
        order = Order(
            id=name,
            customer=customer,
            country=country,
            state=State.PENDING,
            charges=tuple(charges),
            total=total_of(lines, charges),
            reason=None,
            content=content,
            placed_at=datetime.now(UTC),
        )

        def book(connection: Connection) -> Order:
            added = connection.execute(
                _ADD_ONCE[self.database.sqlite],
                {
                    "id": name,
                    "customer": customer,
                    "country": country,
                    "state": State.PENDING,
                    "charges": msgspec.json.encode(charges).decode(),
                    "total": order.total,
                    "reason": "",
                    "content": content,
                    "placed_at": order.placed_at,
                },
            )
            if not added.rowcount:
                return self._find(connection, name) or order
            connection.execute(
                _ADD_LINES,
                [
                    {
                        "order_id": name,
                        "position": position,
                        "sku": sku,
                        "quantity": quantity,
                        "unit_price": pence,
                        "returned": 0,
                    }
                    for position, (sku, quantity, pence) in enumerate(lines)
                ],
            )
            return order

        found = await self.database.write(book)
        if found.content != content:
            raise ReusedRequest(name)
        return found, found is order

    async def find(self, name: str) -> Order | None:
        """An order by its name."""
        return await self.database.read(lambda connection: self._find(connection, name))

    async def lines(self, name: str) -> list[Line]:
        """The lines of an order, as they were ordered."""
        return await self.database.read(lambda connection: _lines(connection, name))

    async def page(
        self, customer: str, before: tuple[datetime, str] | None, size: int
    ) -> list[Order]:
        """Up to `size` orders of a customer that come before `before`, the latest first."""
        wanted = select(orders).where(orders.c.customer == customer)
        if before is not None:
            at, name = before
            wanted = wanted.where(
                or_(
                    orders.c.placed_at < at,
                    and_(orders.c.placed_at == at, orders.c.id < name),
                )
            )
        wanted = wanted.order_by(orders.c.placed_at.desc(), orders.c.id.desc()).limit(size)

        def look(connection: Connection) -> list[Order]:
            return [order_of(row) for row in connection.execute(wanted)]

        return await self.database.read(look)

    async def move(
        self,
        order: Order,
        state: State,
        reason: Reason | None = None,
        lines: Sequence[Line] | None = None,
    ) -> Order:
        """Puts an order into its next state, unless another was faster; tells where it is now.

        `lines` are the order's, for the events; they are read when they are not given.
        """
        shipped = datetime.now(UTC) if state is State.SHIPPED else None

        def book(connection: Connection) -> Order:
            moved = connection.execute(
                _MOVE,
                {
                    "of": order.id,
                    "from": order.state,
                    "to": state,
                    "why": msgspec.json.encode(reason).decode() if reason else "",
                    "left_at": shipped,
                },
            )
            if moved.rowcount:
                if of_move(order, state, ()):
                    known = _lines(connection, order.id) if lines is None else lines
                    self.events.append(connection, of_move(order, state, known))
                return msgspec.structs.replace(
                    order, state=state, reason=reason, shipped_at=shipped
                )
            found = self._find(connection, order.id)
            return found or order

        return await self.database.write(book)

    async def unfinished(self) -> list[str]:
        """Names of orders that are not at an end, the oldest first."""
        wanted = (
            select(orders.c.id)
            .where(orders.c.state.not_in(sorted(FINAL)))
            .order_by(orders.c.placed_at)
        )
        return await self.database.read(lambda opened: list(opened.execute(wanted).scalars()))

    async def entries(self) -> tuple[list[dict[str, Any]], int]:
        """Items by SKU as the contract's LedgerEntry has them, and how much is unfinished."""
        sold = (
            select(
                order_lines.c.sku,
                func.sum(order_lines.c.quantity).filter(orders.c.shipped_at.is_not(None)),
                func.sum(order_lines.c.quantity).filter(orders.c.state == State.CONFIRMED),
            )
            .join(orders, orders.c.id == order_lines.c.order_id)
            .group_by(order_lines.c.sku)
        )
        back = select(
            return_lines.c.sku,
            func.sum(return_lines.c.matched),
            func.sum(return_lines.c.unmatched),
        ).group_by(return_lines.c.sku)
        open_orders = select(func.count()).where(orders.c.state.not_in(sorted(FINAL)))
        open_returns = select(func.count()).where(returns.c.state == "open")

        def look(connection: Connection) -> tuple[dict[str, list[int]], int]:
            sums: dict[str, list[int]] = {}
            for sku, shipped, reserved in connection.execute(sold):
                sums[sku] = [int(shipped or 0), int(reserved or 0), 0, 0]
            for sku, matched, unmatched in connection.execute(back):
                sums.setdefault(sku, [0, 0, 0, 0])[2:] = [int(matched), int(unmatched)]
            unfinished = int(connection.execute(open_orders).scalar_one())
            return sums, unfinished + int(connection.execute(open_returns).scalar_one())

        sums, unfinished = await self.database.read(look)
        keys = ("shipped", "reserved", "returned", "unmatched")
        return [
            {"sku": sku, **dict(zip(keys, items, strict=True))}
            for sku, items in sorted(sums.items())
        ], unfinished

    @staticmethod
    def _find(connection: Connection, name: str) -> Order | None:
        row = connection.execute(_FIND, {"id": name}).first()
        return None if row is None else order_of(row)


def _lines(connection: Connection, name: str) -> list[Line]:
    return [Line(*row) for row in connection.execute(_LINES, {"id": name})]


def order_of(row: Row[Any]) -> Order:
    """The order in a row of the table `orders`."""
    return Order(
        id=row.id,
        customer=row.customer,
        country=row.country,
        state=State(row.state),
        charges=msgspec.json.decode(row.charges, type=tuple[Charge, ...]),
        total=row.total,
        reason=msgspec.json.decode(row.reason, type=Reason) if row.reason else None,
        content=row.content,
        placed_at=row.placed_at.replace(tzinfo=UTC),
        shipped_at=row.shipped_at.replace(tzinfo=UTC) if row.shipped_at else None,
    )
