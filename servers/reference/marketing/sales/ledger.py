"""What was sold: booked event by event, each once, and added up by country, product and hour.

A total carries the revision of the event that changed it last. Who knows the totals of one revision
needs those with a later one, and has them all: nothing is lost or counted twice in between.
"""

from __future__ import annotations

import enum
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, Final, NamedTuple

from sqlalchemy import ColumnElement, Connection, Select, func, insert, select, tuple_
from sqlalchemy.dialects import postgresql, sqlite

from acme.retail.orders.v1 import orders_pb2 as orders
from meshpact.servers.storage.database import Database
from meshpact.servers.storage.signals import Signal
from reference.marketing.sales.tables import facts, position, totals
from reference.money import minor_units
from reference.orderevents import advance, revision

HOUR: Final = 3600
CHANNEL: Final = "sales"


class Dimension(enum.StrEnum):
    """What totals are told by."""

    COUNTRY = "country"
    PRODUCT = "product"
    HOUR = "hour"


class Window(NamedTuple):
    """Hours from `start` to before `end`, in seconds since the epoch; None: without a bound."""

    start: int | None = None
    end: int | None = None


class Total(NamedTuple):
    """What was sold of one country, product or hour; `amount` in minor units."""

    dimension: Dimension
    name: str
    hour: int
    currency: str
    orders: int
    items: int
    amount: int


class RevisionUnknown(Exception):
    """A revision that the ledger has not come to."""

    def __init__(self, asked: int, revision: int) -> None:
        super().__init__(f"{asked} was asked for, the ledger is at {revision}")
        self.asked = asked
        self.revision = revision


class _Fact(NamedTuple):
    sku: str
    currency: str
    orders: int
    items: int
    amount: int


_Cell = tuple[Dimension, str, str, int]
_ORDERS, _ITEMS, _AMOUNT = (
    func.sum(totals.c.orders),
    func.sum(totals.c["items"]),
    func.sum(totals.c.amount),
)


class Ledger:
    """The sales of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def listen(self) -> AbstractContextManager[Signal]:
        """A signal that every booking sets; on SQLite, those of this process."""
        return self._database.listen(CHANNEL)

    async def revision(self) -> int:
        """Up to which event of the orders everything is booked."""
        return await self._database.read(_revision)

    async def book(self, events: Sequence[orders.OrderEvent]) -> int:
        """Books what is new among events, in one transaction, and tells the revision after that.

        Gap when they do not go on where the ledger ends, or another process booked meanwhile.
        """

        def work(connection: Connection) -> int:
            new = advance(connection, position, events)
            if not new:
                return _revision(connection)
            _write(connection, new)
            self._database.say(connection, CHANNEL)
            return new[-1].revision

        return await self._database.write(work)

    async def changed(
        self, dimensions: Sequence[Dimension], window: Window, after: int
    ) -> tuple[int, list[Total]]:
        """The ledger's revision, and the totals as they are then that changed after another one.

        With 0 all of them. RevisionUnknown for one that is still to come.
        """

        def look(connection: Connection) -> tuple[int, list[Total]]:
            at = _revision(connection)
            if after > at:
                raise RevisionUnknown(after, at)
            found: list[Total] = []
            if after < at:
                for dimension in dimensions:
                    wanted = _summed(dimension, window).order_by(*_order(dimension))
                    if after:
                        wanted = wanted.where(_touched(dimension, window, after))
                    found += _totals(dimension, connection.execute(wanted).all())
            return at, found

        return await self._database.read(look)

    async def page(
        self, dimension: Dimension, window: Window, size: int, after: tuple[str | int, ...] | None
    ) -> list[Total]:
        """Up to `size` totals in their order, those after a key (`key_of`)."""
        wanted = _summed(dimension, window).order_by(*_order(dimension)).limit(size)
        if after is not None:
            wanted = wanted.where(tuple_(*_order(dimension)) > tuple_(*after))

        def look(connection: Connection) -> list[Total]:
            return list(_totals(dimension, connection.execute(wanted).all()))

        return await self._database.read(look)


def key_of(total: Total) -> tuple[str | int, ...]:
    """What totals of a list are ordered by."""
    first = total.hour if total.dimension is Dimension.HOUR else total.name
    return first, total.currency


def _revision(connection: Connection) -> int:
    return revision(connection, position)


def _write(connection: Connection, events: Sequence[orders.OrderEvent]) -> None:
    """Books events, and adds them to their totals."""
    rows: list[dict[str, object]] = []
    cells: defaultdict[_Cell, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    for event in events:
        hour = event.event_time.ToSeconds() // HOUR * HOUR
        found = list(_facts(event))
        for line, fact in enumerate(found):
            rows.append(
                {
                    "revision": event.revision,
                    "line": line,
                    "hour": hour,
                    "country": event.country,
                    **fact._asdict(),
                }
            )
        for cell, added in _added(event.country, hour, found):
            total = cells[cell]
            total[:3] = [each + more for each, more in zip(total[:3], added, strict=True)]
            total[3] = event.revision
    if not rows:
        return
    connection.execute(insert(facts), rows)
    connection.execute(
        _adding(connection),
        [
            {
                "dimension": dimension,
                "name": name,
                "currency": currency,
                "hour": hour,
                "orders": placed,
                "items": items,
                "amount": amount,
                "revision": revision,
            }
            for (dimension, name, currency, hour), (placed, items, amount, revision) in sorted(
                cells.items()
            )
        ],
    )


def _facts(event: orders.OrderEvent) -> Iterator[_Fact]:
    """What an event changes: by product, lines of one added up, and charges as product ""."""
    sign = {
        orders.ORDER_EVENT_KIND_PLACED: 1,
        orders.ORDER_EVENT_KIND_CANCELLED: -1,
        orders.ORDER_EVENT_KIND_RETURNED: -1,
    }.get(event.kind, 0)
    if not sign:
        return
    found: defaultdict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0])
    for line in event.lines:
        sums = found[line.sku.upper(), line.unit_price.currency_code]
        sums[0] += line.quantity
        sums[1] += line.quantity * minor_units(line.unit_price)
    for charge in event.charges:
        found["", charge.amount.currency_code][1] += minor_units(charge.amount)
    for (sku, currency), (items, amount) in found.items():
        yield _Fact(sku, currency, int(sign > 0), sign * items, sign * amount)


def _added(
    country: str, hour: int, found: Iterable[_Fact]
) -> Iterator[tuple[_Cell, tuple[int, int, int]]]:
    """What the facts of one event add to which totals; an order counts once in each."""
    counted: set[str] = set()
    for fact in found:
        if fact.sku:
            cell = (Dimension.PRODUCT, fact.sku, fact.currency, hour)
            yield cell, (fact.orders, fact.items, fact.amount)
        placed = 0 if fact.currency in counted else fact.orders
        counted.add(fact.currency)
        for dimension, name in ((Dimension.COUNTRY, country), (Dimension.HOUR, "")):
            yield (dimension, name, fact.currency, hour), (placed, fact.items, fact.amount)


def _adding(connection: Connection) -> Any:
    kind = sqlite if connection.dialect.name == "sqlite" else postgresql
    rows = kind.insert(totals)
    return rows.on_conflict_do_update(
        index_elements=list(totals.primary_key.columns),
        set_={
            "orders": totals.c.orders + rows.excluded.orders,
            "items": totals.c["items"] + rows.excluded["items"],
            "amount": totals.c.amount + rows.excluded.amount,
            "revision": rows.excluded.revision,
        },
    )


def _order(dimension: Dimension) -> tuple[ColumnElement[Any], ColumnElement[Any]]:
    first = totals.c.hour if dimension is Dimension.HOUR else totals.c.name
    return first, totals.c.currency


def _summed(dimension: Dimension, window: Window) -> Select[Any, Any, Any, Any, Any]:
    return (
        select(*_order(dimension), _ORDERS, _ITEMS, _AMOUNT)
        .where(*_within(dimension, window))
        .group_by(*_order(dimension))
    )


def _touched(dimension: Dimension, window: Window, after: int) -> ColumnElement[bool]:
    """Whether an event after a revision has changed a total within the window."""
    first = _order(dimension)[0]
    changed = select(first).where(*_within(dimension, window), totals.c.revision > after)
    return first.in_(changed)


def _within(dimension: Dimension, window: Window) -> list[ColumnElement[bool]]:
    bounds: list[ColumnElement[bool]] = [totals.c.dimension == dimension.value]
    if window.start is not None:
        bounds.append(totals.c.hour >= window.start)
    if window.end is not None:
        bounds.append(totals.c.hour < window.end)
    return bounds


def _totals(dimension: Dimension, rows: Iterable[Any]) -> Iterator[Total]:
    for first, currency, *sums in rows:
        name, hour = ("", first) if dimension is Dimension.HOUR else (first, 0)
        yield Total(dimension, name, hour, currency, *map(int, sums))
