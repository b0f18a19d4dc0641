"""The stock ledger: every movement is booked with the counts it changes, in one transaction.

For every SKU, always: opening + delivered + returned = on_hand + reserved + shipped. The counts in
`stock` are the running ones; lines of reservations and receipts are the bookings behind them.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, bindparam, func, insert, select, update

from meshpact.servers.storage.content import digest
from meshpact.servers.storage.database import Database
from reference.retail.inventory.changes import Changes
from reference.retail.inventory.problems import (
    EndedReservation,
    ReusedRequest,
    Shortage,
    UnknownReservation,
    UnknownSku,
)
from reference.retail.inventory.tables import (
    receipt_lines,
    receipts,
    reservation_lines,
    reservations,
    stock,
)


class State(enum.StrEnum):
    """What a reservation has come to."""

    RESERVED = "reserved"
    CONFIRMED = "confirmed"
    SHIPPED = "shipped"
    RELEASED = "released"


class Receipt(enum.StrEnum):
    """Why goods came in; the value is the count they add to."""

    DELIVERY = "delivered"
    RETURN = "returned"


class Stock(NamedTuple):
    """The stock of one SKU, in items."""

    sku: str
    on_hand: int
    reserved: int
    shipped: int


OPEN: Final = (State.RESERVED, State.CONFIRMED)

_LEVELS: Final = select(stock.c.sku, stock.c.on_hand, stock.c.reserved, stock.c.shipped)
_FIND: Final = (
    select(reservations.c.state, reservations.c.content)
    .where(reservations.c.id == bindparam("id"))
    .with_for_update()
)
_ON_HAND: Final = (
    select(stock.c.sku, stock.c.on_hand)
    .where(stock.c.sku.in_(bindparam("skus", expanding=True)))
    .order_by(stock.c.sku)
    .with_for_update()
)
_SET_ASIDE: Final = (
    update(stock)
    .where(stock.c.sku == bindparam("of"))
    .values(
        on_hand=stock.c.on_hand - bindparam("items"),
        reserved=stock.c.reserved + bindparam("items"),
    )
)
_LINES_OF: Final = (
    select(reservation_lines.c.sku, reservation_lines.c.quantity)
    .where(reservation_lines.c.reservation_id == bindparam("id"))
    .order_by(reservation_lines.c.sku)
)
_SET_STATE: Final = (
    update(reservations).where(reservations.c.id == bindparam("of")).values(state=bindparam("to"))
)


def _leave(count: str) -> Any:
    """Moves items from `reserved` to another count."""
    return (
        update(stock)
        .where(stock.c.sku == bindparam("of"))
        .values(
            {
                "reserved": stock.c.reserved - bindparam("items"),
                count: stock.c[count] + bindparam("items"),
            }
        )
    )


_SHIP: Final = _leave("shipped")
_RELEASE: Final = _leave("on_hand")
_RECEIVE: Final = {
    kind: update(stock)
    .where(stock.c.sku == bindparam("of"))
    .values(
        {
            "on_hand": stock.c.on_hand + bindparam("items"),
            kind.value: stock.c[kind.value] + bindparam("items"),
        }
    )
    for kind in Receipt
}


def added_up(lines: Iterable[tuple[str, int]]) -> dict[str, int]:
    """Items by SKU, in upper case and in order; lines of the same SKU are added up."""
    total: dict[str, int] = {}
    for sku, quantity in lines:
        folded = sku.upper()
        total[folded] = total.get(folded, 0) + quantity
    return dict(sorted(total.items()))


class Ledger:
    """The bookings of one warehouse. Names of reservations and receipts are the callers' UUIDs."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.changes = Changes()

    async def open(self, opening: Mapping[str, int]) -> None:
        """Puts the opening stock on hand, if the ledger is empty."""

        def book(connection: Connection) -> None:
            if connection.execute(select(stock.c.sku).limit(1)).first() is None:
                connection.execute(
                    insert(stock),
                    [
                        {
                            "sku": sku,
                            "opening": items,
                            "on_hand": items,
                            "delivered": 0,
                            "returned": 0,
                            "reserved": 0,
                            "shipped": 0,
                        }
                        for sku, items in opening.items()
                    ],
                )

        await self._database.write(book)

    async def is_open(self) -> bool:
        """Whether there is any stock account."""
        first = select(stock.c.sku).limit(1)
        return await self._database.read(lambda opened: opened.execute(first).first() is not None)

    async def levels(self, skus: Sequence[str]) -> dict[str, Stock]:
        """The stock of those SKUs that are known."""
        wanted = _LEVELS.where(stock.c.sku.in_(skus))

        def look(connection: Connection) -> dict[str, Stock]:
            return {row.sku: Stock(*row) for row in connection.execute(wanted)}

        return await self._database.read(look)

    async def page(self, after: str, size: int) -> list[Stock]:
        """Up to `size` SKUs that come after `after`, in order."""
        wanted = _LEVELS.where(stock.c.sku > after).order_by(stock.c.sku).limit(size)

        def look(connection: Connection) -> list[Stock]:
            return [Stock(*row) for row in connection.execute(wanted)]

        return await self._database.read(look)

    async def reserve(self, name: str, lines: Mapping[str, int]) -> State:
        """Sets items aside, all or none. A repetition books nothing and tells the state.

        Raises UnknownSku, Shortage, ReusedRequest; EndedReservation when it was released before.
        """
        content = digest(lines)

        def book(connection: Connection) -> tuple[State, bool]:
            found = connection.execute(_FIND, {"id": name}).first()
            if found is not None:
                if found.state == State.RELEASED:
                    raise EndedReservation(name, State.RELEASED)
                if found.content != content:
                    raise ReusedRequest(name)
                return State(found.state), False
            _check(connection, lines)
            connection.execute(
                insert(reservations),
                {
                    "id": name,
                    "state": State.RESERVED,
                    "content": content,
                    "made_at": datetime.now(UTC),
                },
            )
            connection.execute(
                insert(reservation_lines),
                [
                    {"reservation_id": name, "sku": sku, "quantity": items}
                    for sku, items in lines.items()
                ],
            )
            connection.execute(_SET_ASIDE, _movements(lines))
            return State.RESERVED, True

        state, booked = await self._database.write(book)
        if booked:
            self.changes.publish(lines)
        return state

    async def confirm(self, name: str) -> State:
        """Marks a reservation as paid for; one that was shipped stays so.

        Raises UnknownReservation, EndedReservation (released).
        """

        def book(connection: Connection) -> State:
            state = _state(connection, name)
            if state is State.RELEASED:
                raise EndedReservation(name, state)
            if state is State.RESERVED:
                connection.execute(_SET_STATE, {"of": name, "to": State.CONFIRMED})
                return State.CONFIRMED
            return state

        return await self._database.write(book)

    async def ship(self, name: str) -> State:
        """Books reserved items as gone. Raises UnknownReservation, EndedReservation (released)."""

        def book(connection: Connection) -> None:
            state = _state(connection, name)
            if state is State.RELEASED:
                raise EndedReservation(name, state)
            if state in OPEN:
                _end(connection, name, State.SHIPPED)

        await self._database.write(book)
        return State.SHIPPED

    async def release(self, name: str) -> State:
        """Puts reserved items back on sale, and bars a name that was never reserved.

        Raises EndedReservation (shipped).
        """

        def book(connection: Connection) -> dict[str, int]:
            found = connection.execute(_FIND, {"id": name}).first()
            if found is None:
                connection.execute(
                    insert(reservations),
                    {
                        "id": name,
                        "state": State.RELEASED,
                        "content": "",
                        "made_at": datetime.now(UTC),
                    },
                )
                return {}
            if found.state == State.SHIPPED:
                raise EndedReservation(name, State.SHIPPED)
            if found.state == State.RELEASED:
                return {}
            return _end(connection, name, State.RELEASED)

        self.changes.publish(await self._database.write(book))
        return State.RELEASED

    async def receive(
        self, name: str, kind: Receipt, lines: Mapping[str, int], arrived_at: datetime
    ) -> bool:
        """Takes goods in; False when that was booked before. Raises UnknownSku, ReusedRequest."""
        content = digest(kind, lines)

        def book(connection: Connection) -> bool:
            found = connection.execute(select(receipts.c.content).where(receipts.c.id == name))
            known = found.scalar()
            if known is not None:
                if known != content:
                    raise ReusedRequest(name)
                return False
            _on_hand(connection, lines)
            connection.execute(
                insert(receipts),
                {"id": name, "kind": kind, "content": content, "arrived_at": arrived_at},
            )
            connection.execute(
                insert(receipt_lines),
                [
                    {"receipt_id": name, "sku": sku, "quantity": items}
                    for sku, items in lines.items()
                ],
            )
            connection.execute(_RECEIVE[kind], _movements(lines))
            return True

        booked = await self._database.write(book)
        if booked:
            self.changes.publish(lines)
        return booked

    async def entries(self) -> list[dict[str, Any]]:
        """Every account with the sums of the bookings behind it, all of one moment, by SKU.

        Keys: sku, opening, on_hand, the running counts reserved_count and shipped_count, and the
        sums delivered, returned, reserved, shipped.
        """
        held = (
            select(
                reservation_lines.c.sku,
                reservations.c.state.label("why"),
                func.sum(reservation_lines.c.quantity).label("items"),
            )
            .join(reservations, reservations.c.id == reservation_lines.c.reservation_id)
            .group_by(reservation_lines.c.sku, reservations.c.state)
        )
        came = (
            select(
                receipt_lines.c.sku,
                receipts.c.kind.label("why"),
                func.sum(receipt_lines.c.quantity).label("items"),
            )
            .join(receipts, receipts.c.id == receipt_lines.c.receipt_id)
            .group_by(receipt_lines.c.sku, receipts.c.kind)
        )

        def look(connection: Connection) -> tuple[Sequence[Any], Sequence[Any]]:
            accounts = connection.execute(select(stock).order_by(stock.c.sku)).all()
            return accounts, [*connection.execute(held), *connection.execute(came)]

        accounts, booked = await self._database.read(look)
        sums = {(row.sku, row.why): int(row.items) for row in booked}
        return [
            {
                "sku": row.sku,
                "opening": row.opening,
                "on_hand": row.on_hand,
                "reserved_count": row.reserved,
                "shipped_count": row.shipped,
                "delivered": sums.get((row.sku, Receipt.DELIVERY), 0),
                "returned": sums.get((row.sku, Receipt.RETURN), 0),
                "reserved": sum(sums.get((row.sku, state), 0) for state in OPEN),
                "shipped": sums.get((row.sku, State.SHIPPED), 0),
            }
            for row in accounts
        ]


def _movements(lines: Mapping[str, int]) -> list[dict[str, object]]:
    return [{"of": sku, "items": items} for sku, items in lines.items()]


def _on_hand(connection: Connection, lines: Mapping[str, int]) -> dict[str, int]:
    rows = connection.execute(_ON_HAND, {"skus": list(lines)})
    found: dict[str, int] = {row.sku: row.on_hand for row in rows}
    for sku in lines:
        if sku not in found:
            raise UnknownSku(sku)
    return found


def _check(connection: Connection, lines: Mapping[str, int]) -> None:
    found = _on_hand(connection, lines)
    for sku, items in lines.items():
        if found[sku] < items:
            raise Shortage(sku, found[sku], items)


def _state(connection: Connection, name: str) -> State:
    found = connection.execute(_FIND, {"id": name}).first()
    if found is None:
        raise UnknownReservation(name)
    return State(found.state)


def _end(connection: Connection, name: str, state: State) -> dict[str, int]:
    lines: dict[str, int] = {
        row.sku: row.quantity for row in connection.execute(_LINES_OF, {"id": name})
    }
    connection.execute(_SHIP if state is State.SHIPPED else _RELEASE, _movements(lines))
    connection.execute(_SET_STATE, {"of": name, "to": state})
    return lines
