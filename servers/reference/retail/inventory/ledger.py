"""The stock ledger: every movement is booked with the counts it changes, in one transaction.

For every SKU, always: opening + delivered + returned + adjusted = on_hand + reserved + shipped. The
counts in `stock` are the running ones; lines of reservations, receipts and imports are the bookings
behind them. Each booking that changes stock counts the ledger's revision up by one.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Update, insert, select

from meshpact.servers.storage.content import digest
from meshpact.servers.storage.database import Database
from reference.retail.inventory import statements as sql
from reference.retail.inventory.problems import (
    EndedReservation,
    ReusedRequest,
    Shortage,
    UnknownReservation,
    UnknownRevision,
    UnknownSku,
)
from reference.retail.inventory.tables import stock


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
    COUNT = "adjusted"


class Stock(NamedTuple):
    """The stock of one SKU, in items."""

    sku: str
    on_hand: int
    reserved: int
    shipped: int
    revision: int = 0


CHANGES: Final = "stock"
OPEN: Final = (State.RESERVED, State.CONFIRMED)

_SET_ASIDE: Final = sql.moving("on_hand", "reserved")
_SHIP: Final = sql.moving("reserved", "shipped")
_RELEASE: Final = sql.moving("reserved", "on_hand")
RECEIVE: Final = {kind: sql.coming(kind.value) for kind in Receipt}


def added_up(lines: Iterable[tuple[str, int]]) -> dict[str, int]:
    """Items by SKU, in upper case and in order; lines of the same SKU are added up."""
    total: dict[str, int] = {}
    for sku, quantity in lines:
        folded = sku.upper()
        total[folded] = total.get(folded, 0) + quantity
    return dict(sorted(total.items()))


class Ledger:
    """The bookings of one warehouse. Names of reservations and receipts are the callers' UUIDs.

    Each booking that changes stock says so to who listens to CHANGES.
    """

    def __init__(self, database: Database) -> None:
        self.database = database

    async def open(self, opening: Mapping[str, int]) -> None:
        """Puts the opening stock on hand, if the ledger is empty."""
        counts = ("delivered", "returned", "reserved", "shipped")

        def book(connection: Connection) -> None:
            if connection.execute(select(stock.c.sku).limit(1)).first() is None:
                connection.execute(
                    insert(stock),
                    [
                        {"sku": sku, "opening": items, "on_hand": items, **dict.fromkeys(counts, 0)}
                        for sku, items in opening.items()
                    ],
                )

        await self.database.write(book)

    async def is_open(self) -> bool:
        """Whether there is any stock account."""
        first = select(stock.c.sku).limit(1)
        return await self.database.read(lambda opened: opened.execute(first).first() is not None)

    async def levels(self, skus: Sequence[str]) -> dict[str, Stock]:
        """The stock of those SKUs that are known."""

        def look(connection: Connection) -> dict[str, Stock]:
            rows = connection.execute(sql.LEVELS_OF, {"skus": list(skus)})
            return {row.sku: Stock(*row) for row in rows}

        return await self.database.read(look)

    async def page(self, after: str, size: int) -> list[Stock]:
        """Up to `size` SKUs that come after `after`, in order."""

        def look(connection: Connection) -> list[Stock]:
            rows = connection.execute(sql.PAGE, {"after": after, "size": size})
            return [Stock(*row) for row in rows]

        return await self.database.read(look)

    async def changed(self, skus: Sequence[str], after: int | None) -> tuple[list[Stock], int]:
        """What changed after a revision, by revision, and the newest one, all of one moment.

        `skus` are those of interest, or none for all; after None all of them count as changed.
        Raises UnknownRevision when the ledger has not come so far.
        """
        values: dict[str, Any] = {"after": -1 if after is None else after, "skus": list(skus)}
        wanted = sql.CHANGED_OF if skus else sql.CHANGED

        def look(connection: Connection) -> tuple[list[Stock], int]:
            newest = connection.execute(sql.NEWEST).scalar_one()
            if after is not None and after >= newest:
                if after > newest:
                    raise UnknownRevision(after, newest)
                return [], newest
            return [Stock(*row) for row in connection.execute(wanted, values)], newest

        return await self.database.read(look)

    async def reserve(self, name: str, lines: Mapping[str, int]) -> State:
        """Sets items aside, all or none. A repetition books nothing and tells the state.

        Raises UnknownSku, Shortage, ReusedRequest; EndedReservation when it was released before.
        """
        content = digest(lines)

        def book(connection: Connection) -> State:
            found = connection.execute(sql.FIND, {"id": name}).first()
            if found is not None:
                if found.state == State.RELEASED:
                    raise EndedReservation(name, State.RELEASED)
                if found.content != content:
                    raise ReusedRequest(name)
                return State(found.state)
            _check(connection, lines)
            connection.execute(sql.RESERVE, _reservation(name, State.RESERVED, content))
            connection.execute(
                sql.RESERVE_LINES,
                [
                    {"reservation_id": name, "sku": sku, "quantity": items}
                    for sku, items in lines.items()
                ],
            )
            self.move(connection, _SET_ASIDE, lines)
            return State.RESERVED

        return await self.database.write(book)

    async def confirm(self, name: str) -> State:
        """Marks a reservation as paid for; one that was shipped stays so.

        Raises UnknownReservation, EndedReservation (released).
        """

        def book(connection: Connection) -> State:
            state = _state(connection, name)
            if state is State.RELEASED:
                raise EndedReservation(name, state)
            if state is State.RESERVED:
                connection.execute(sql.SET_STATE, {"of": name, "to": State.CONFIRMED})
                return State.CONFIRMED
            return state

        return await self.database.write(book)

    async def ship(self, name: str) -> State:
        """Books reserved items as gone. Raises UnknownReservation, EndedReservation (released)."""

        def book(connection: Connection) -> State:
            state = _state(connection, name)
            if state is State.RELEASED:
                raise EndedReservation(name, state)
            if state in OPEN:
                self._end(connection, name, _SHIP, State.SHIPPED)
            return State.SHIPPED

        return await self.database.write(book)

    async def release(self, name: str) -> State:
        """Puts reserved items back on sale, and bars a name that was never reserved.

        Raises EndedReservation (shipped).
        """

        def book(connection: Connection) -> State:
            found = connection.execute(sql.FIND, {"id": name}).first()
            if found is None:
                connection.execute(sql.RESERVE, _reservation(name, State.RELEASED, ""))
            elif found.state == State.SHIPPED:
                raise EndedReservation(name, State.SHIPPED)
            elif found.state != State.RELEASED:
                self._end(connection, name, _RELEASE, State.RELEASED)
            return State.RELEASED

        return await self.database.write(book)

    async def receive(
        self, name: str, kind: Receipt, lines: Mapping[str, int], arrived_at: datetime
    ) -> bool:
        """Takes goods in; False when that was booked before. Raises UnknownSku, ReusedRequest."""
        content = digest(kind, lines)

        def book(connection: Connection) -> bool:
            found = connection.execute(sql.FIND_RECEIPT, {"id": name}).first()
            if found is not None:
                if found.content != content:
                    raise ReusedRequest(name)
                return False
            _on_hand(connection, lines)
            connection.execute(
                sql.RECEIVE,
                {"id": name, "kind": kind, "content": content, "arrived_at": arrived_at},
            )
            connection.execute(
                sql.RECEIVE_LINES,
                [
                    {"receipt_id": name, "sku": sku, "quantity": items}
                    for sku, items in lines.items()
                ],
            )
            self.move(connection, RECEIVE[kind], lines)
            return True

        return await self.database.write(book)

    async def entries(self) -> list[dict[str, Any]]:
        """Every account with the sums of the bookings behind it, all of one moment, by SKU.

        Keys: sku, opening, on_hand, the running counts reserved_count and shipped_count, and the
        sums delivered, returned, adjusted, reserved, shipped.
        """

        def look(connection: Connection) -> tuple[Sequence[Any], Sequence[Any]]:
            accounts = connection.execute(sql.ACCOUNTS).all()
            sums = (sql.HELD, sql.CAME, sql.LISTED)
            return accounts, [row for each in sums for row in connection.execute(each)]

        accounts, booked = await self.database.read(look)
        sums: dict[tuple[str, str], int] = {}
        for row in booked:
            sums[row.sku, row.why] = sums.get((row.sku, row.why), 0) + int(row.items)
        return [
            {
                "sku": row.sku,
                "opening": row.opening,
                "on_hand": row.on_hand,
                "reserved_count": row.reserved,
                "shipped_count": row.shipped,
                "delivered": sums.get((row.sku, Receipt.DELIVERY), 0),
                "returned": sums.get((row.sku, Receipt.RETURN), 0),
                "adjusted": sums.get((row.sku, Receipt.COUNT), 0),
                "reserved": sum(sums.get((row.sku, state), 0) for state in OPEN),
                "shipped": sums.get((row.sku, State.SHIPPED), 0),
            }
            for row in accounts
        ]

    def move(self, connection: Connection, movement: Update, items: Mapping[str, int]) -> int:
        """Books items by SKU as a new revision, and gives it. Their rows are locked already."""
        revision: int = connection.execute(sql.COUNT).scalar_one()
        connection.execute(
            movement,
            [{"of": sku, "items": count, "at": revision} for sku, count in items.items()],
        )
        self.database.say(connection, CHANGES)
        return revision

    def _end(self, connection: Connection, name: str, movement: Update, state: State) -> None:
        rows = connection.execute(sql.LINES_OF, {"id": name})
        self.move(connection, movement, {row.sku: row.quantity for row in rows})
        connection.execute(sql.SET_STATE, {"of": name, "to": state})


def _reservation(name: str, state: State, content: str) -> dict[str, object]:
    return {"id": name, "state": state, "content": content, "made_at": datetime.now(UTC)}


def _on_hand(connection: Connection, lines: Mapping[str, int]) -> dict[str, int]:
    rows = connection.execute(sql.ON_HAND, {"skus": list(lines)})
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
    found = connection.execute(sql.FIND, {"id": name}).first()
    if found is None:
        raise UnknownReservation(name)
    return State(found.state)
