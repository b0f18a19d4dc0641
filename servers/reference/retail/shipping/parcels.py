"""Shipments: packed, then shipped or cancelled. The warehouse decides which.

A shipment is written down as packing before the warehouse is asked to let its stock go; whatever
happens between, asking again finds out how it ended. Stock that is gone means shipped, stock that
was put back on sale means cancelled: two services never disagree about a parcel for good.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple, Protocol

from sqlalchemy import Connection, bindparam, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from meshpact.servers.storage.content import digest
from meshpact.servers.storage.database import Database
from reference.retail.shipping.tables import shipment_lines, shipments

_FIND: Final = select(shipments).where(shipments.c.id == bindparam("id"))
_ADD_ONCE: Final = {
    True: sqlite.insert(shipments).on_conflict_do_nothing(),
    False: postgresql.insert(shipments).on_conflict_do_nothing(),
}
"""By whether the database is SQLite."""
_ADD_LINES: Final = insert(shipment_lines)
_END: Final = (
    update(shipments)
    .where(shipments.c.id == bindparam("of"), shipments.c.state == "packing")
    .values(state=bindparam("to"), shipped_at=bindparam("at"))
)
ITEMS_AT_MOST: Final = 10_000
"""What a carrier takes at once."""


class State(enum.StrEnum):
    """How far a shipment has come."""

    PACKING = "packing"
    SHIPPED = "shipped"
    CANCELLED = "cancelled"


class Shipment(NamedTuple):
    """One shipment, as its row has it."""

    id: str
    order_id: str
    customer: str
    country: str
    state: State
    items: int
    content: str
    shipped_at: datetime | None


class Warehouse(Protocol):
    """Where the stock is."""

    async def let_go(self, order_id: str) -> bool:
        """Books an order's stock as gone; False when nothing is set aside for it any more.

        Any other outcome raises, and nothing is known.
        """
        ...


class ParcelProblem(Exception):
    """Base of shipping's refusals."""


class TooLarge(ParcelProblem):
    """No carrier takes so many items."""

    def __init__(self, items: int) -> None:
        super().__init__(f"{items} items; a carrier takes {ITEMS_AT_MOST}")
        self.items = items


class Cancelled(ParcelProblem):
    """The shipment was cancelled before it left."""


class StockGone(ParcelProblem):
    """The warehouse holds nothing for the order any more."""


class Reused(ParcelProblem):
    """The name was used before, with other content."""


class Parcels:
    """The shipments of one warehouse. A shipment's name is its caller's UUID."""

    def __init__(self, database: Database, warehouse: Warehouse) -> None:
        self._database = database
        self._warehouse = warehouse

    async def find(self, name: str) -> Shipment | None:
        """A shipment by its name."""
        return await self._database.read(lambda connection: _find(connection, name))

    async def create(
        self, name: str, order_id: str, customer: str, country: str, lines: Mapping[str, int]
    ) -> Shipment:
        """Ships what is reserved for an order; a repetition tells how it ended.

        Raises TooLarge, Cancelled, StockGone, Reused, and what the warehouse raises when it cannot
        be asked: the shipment is then packing, and the next try goes on.
        """
        content = digest(order_id, customer, country, lines)
        items = sum(lines.values())
        if items > ITEMS_AT_MOST:
            raise TooLarge(items)
        found = await self._pack(
            Shipment(name, order_id, customer, country, State.PACKING, items, content, None), lines
        )
        if found.state is State.CANCELLED:
            raise (StockGone if found.content == content else Cancelled)(order_id)
        if found.content != content:
            raise Reused(name)
        if found.state is State.PACKING:
            found = await self._decide(found)
            if found.state is State.CANCELLED:
                raise StockGone(order_id)
        return found

    async def cancel(self, name: str) -> State:
        """Keeps a shipment from leaving, also a later one of that name; tells how it ended.

        Raises what the warehouse raises when it must be asked and cannot be.
        """
        found = await self.find(name)
        if found is None:
            found = await self._pack(Shipment(name, "", "", "", State.CANCELLED, 0, "", None), {})
        if found.state is State.PACKING:
            found = await self._decide(found)
        return found.state

    async def entries(self) -> tuple[dict[str, int], int]:
        """Items shipped by SKU, and how many shipments are still packing, of one moment."""
        shipped = (
            select(shipment_lines.c.sku, func.sum(shipment_lines.c.quantity))
            .join(shipments, shipments.c.id == shipment_lines.c.shipment_id)
            .where(shipments.c.state == State.SHIPPED)
            .group_by(shipment_lines.c.sku)
            .order_by(shipment_lines.c.sku)
        )
        packing = select(func.count()).where(shipments.c.state == State.PACKING)

        def look(connection: Connection) -> tuple[dict[str, int], int]:
            items = {sku: int(sold) for sku, sold in connection.execute(shipped)}
            return items, int(connection.execute(packing).scalar_one())

        return await self._database.read(look)

    async def _pack(self, shipment: Shipment, lines: Mapping[str, int]) -> Shipment:
        """Writes a shipment down, unless it stands there already; gives the one that does."""

        def book(connection: Connection) -> Shipment:
            row = shipment._asdict()
            if not connection.execute(_ADD_ONCE[self._database.sqlite], row).rowcount:
                return _find(connection, shipment.id) or shipment
            if lines:
                connection.execute(
                    _ADD_LINES,
                    [
                        {"shipment_id": shipment.id, "sku": sku, "quantity": items}
                        for sku, items in lines.items()
                    ],
                )
            return shipment

        return await self._database.write(book)

    async def _decide(self, shipment: Shipment) -> Shipment:
        if await self._warehouse.let_go(shipment.order_id):
            end = shipment._replace(state=State.SHIPPED, shipped_at=datetime.now(UTC))
        else:
            end = shipment._replace(state=State.CANCELLED)

        def book(connection: Connection) -> None:
            values = {"of": end.id, "to": end.state, "at": end.shipped_at}
            connection.execute(_END, values)

        await self._database.write(book)
        return end


def _find(connection: Connection, name: str) -> Shipment | None:
    row: Any = connection.execute(_FIND, {"id": name}).first()
    return None if row is None else Shipment(*row)._replace(state=State(row.state))
