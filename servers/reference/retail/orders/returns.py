"""Returns: which sale the goods came from, and whether the warehouse has them back.

A line matches the customer's latest sale of its SKU that still has items out; what that sale does
not cover is unmatched: it is written down and does not enter the stock.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from reference.retail.orders.book import ReusedRequest
from reference.retail.orders.model import Order, Returned, State, name_of
from reference.retail.orders.tables import order_lines, orders, return_lines, returns
from reference.retail.storage.content import digest
from reference.retail.storage.database import Database


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

    async def take(self, name: str, customer: str, lines: Sequence[tuple[str, int]]) -> Return:
        """Matches a return with the customer's sales and writes it down, or gives the one of that
        name. Raises ReusedRequest.
        """
        content = digest(customer, lines)

        async def book(connection: AsyncConnection) -> Return:
            found = await _find(connection, name)
            if found is not None:
                known = select(returns.c.content).where(returns.c.id == name)
                if (await connection.execute(known)).scalar_one() != content:
                    raise ReusedRequest(name)
                return found
            matched = [await _match(connection, customer, *line) for line in lines]
            return await _write(connection, name, customer, content, matched)

        return await self._database.write(book)

    async def take_whole(self, order: Order) -> Return:
        """Takes back all of a shipped order that is still out, and marks it cancelled."""
        name = name_of(order.customer, order.id, "cancel")

        async def book(connection: AsyncConnection) -> Return:
            found = await _find(connection, name)
            if found is not None:
                return found
            rows = await connection.execute(
                select(order_lines)
                .where(order_lines.c.order_id == order.id)
                .order_by(order_lines.c.position)
                .with_for_update()
            )
            back = [
                Returned(row.sku, row.quantity - row.returned, 0, order.id)
                for row in rows
                if row.quantity > row.returned
            ]
            await connection.execute(
                update(order_lines)
                .where(order_lines.c.order_id == order.id)
                .values(returned=order_lines.c.quantity)
            )
            await connection.execute(
                update(orders).where(orders.c.id == order.id).values(state=State.CANCELLED)
            )
            return await _write(connection, name, order.customer, digest(order.id), back)

        return await self._database.write(book)

    async def of_cancel(self, order: Order) -> Return | None:
        """What cancelling a shipped order brought back."""
        async with self._database.read() as connection:
            return await _find(connection, name_of(order.customer, order.id, "cancel"))

    async def find(self, name: str) -> Return | None:
        """A return by its name."""
        async with self._database.read() as connection:
            return await _find(connection, name)

    async def finish(self, name: str) -> None:
        """Notes that the warehouse has taken the goods back."""

        async def book(connection: AsyncConnection) -> None:
            await connection.execute(
                update(returns).where(returns.c.id == name).values(state="done")
            )

        await self._database.write(book)

    async def unfinished(self) -> list[str]:
        """Names of returns that the warehouse may not know of yet."""
        async with self._database.read() as connection:
            rows = await connection.execute(select(returns.c.id).where(returns.c.state == "open"))
            return [row.id for row in rows]


async def _find(connection: AsyncConnection, name: str) -> Return | None:
    state = (await connection.execute(select(returns.c.state).where(returns.c.id == name))).scalar()
    if state is None:
        return None
    rows = await connection.execute(
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


async def _match(connection: AsyncConnection, customer: str, sku: str, quantity: int) -> Returned:
    sale = (
        await connection.execute(
            select(
                order_lines.c.order_id,
                order_lines.c.position,
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
    await connection.execute(
        update(order_lines)
        .where(order_lines.c.order_id == sale.order_id, order_lines.c.position == sale.position)
        .values(returned=order_lines.c.returned + matched)
    )
    return Returned(sku, matched, quantity - matched, sale.order_id)


async def _write(
    connection: AsyncConnection, name: str, customer: str, content: str, lines: list[Returned]
) -> Return:
    done = not any(line.matched for line in lines)
    await connection.execute(
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
        await connection.execute(
            insert(return_lines),
            [
                {"return_id": name, "position": position, **line._asdict()}
                for position, line in enumerate(lines)
            ],
        )
    return Return(name, tuple(lines), done)
