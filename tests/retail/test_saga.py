"""The saga when calls fail on their way there or back: nothing is lost, nothing is booked twice.

Warehouse and carrier are the real ones on real databases; only the wire between is replaced by one
that loses what it is told to lose.
"""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

from hypothesis import example, given, settings
from hypothesis import strategies as st

from meshpact.clients import CallError
from meshpact.interceptors.errors import Code
from meshpact.servers.storage.database import Database
from meshpact.servers.storage.migrate import migrate
from reference.retail.inventory.ledger import Ledger, Receipt
from reference.retail.inventory.problems import EndedReservation, Shortage, UnknownReservation
from reference.retail.orders.book import OrderBook
from reference.retail.orders.finisher import Finisher
from reference.retail.orders.model import FINAL, Line, Order, Reason, State, Why, name_of
from reference.retail.orders.partners import Refused
from reference.retail.orders.returns import Returns
from reference.retail.orders.saga import Saga
from reference.retail.shipping import parcels
from reference.retail.shipping.parcels import Parcels
from retailshop import RETAIL

T = TypeVar("T")
OPENING = {"A": 6, "B": 4}
GONE = Reason(Why.NOT_DELIVERABLE, text="gone")


@dataclass
class Wire:
    """Loses calls by their number: "there" before they work, "back" after they worked."""

    lost: dict[int, str] = field(default_factory=dict[int, str])
    calls: int = 0

    async def call(self, work: Callable[[], Awaitable[T]]) -> T:
        fault = self.lost.get(self.calls)
        self.calls += 1
        if fault == "there":
            raise CallError(Code.UNAVAILABLE, "lost on its way there")
        answer = await work()
        if fault == "back":
            raise CallError(Code.DEADLINE_EXCEEDED, "lost on its way back")
        return answer


class Warehouse:
    """The ledger, at the other end of a wire."""

    def __init__(self, ledger: Ledger, wire: Wire) -> None:
        self._ledger = ledger
        self._wire = wire

    async def reserve(self, order: Order, items: Mapping[str, int]) -> None:
        try:
            await self._wire.call(lambda: self._ledger.reserve(order.id, items))
        except Shortage as problem:
            raise Refused(Reason(Why.OUT_OF_STOCK, sku=problem.sku)) from problem
        except EndedReservation as problem:
            raise Refused(GONE) from problem

    async def confirm(self, order: Order) -> None:
        try:
            await self._wire.call(lambda: self._ledger.confirm(order.id))
        except (EndedReservation, UnknownReservation) as problem:
            raise Refused(GONE) from problem

    async def release(self, order: Order) -> bool:
        try:
            await self._wire.call(lambda: self._ledger.release(order.id))
        except EndedReservation:
            return False
        return True

    async def take_back(self, return_id: str, items: Mapping[str, int]) -> None:
        now = datetime.now(UTC)
        await self._wire.call(lambda: self._ledger.receive(return_id, Receipt.RETURN, items, now))

    async def let_go(self, order_id: str) -> bool:
        try:
            await self._wire.call(lambda: self._ledger.ship(order_id))
        except (EndedReservation, UnknownReservation):
            return False
        return True


class Carrier:
    """The parcels, at the other end of a wire."""

    def __init__(self, shipments: Parcels, wire: Wire) -> None:
        self._parcels = shipments
        self._wire = wire

    async def ship(self, order: Order, items: Mapping[str, int]) -> None:
        try:
            await self._wire.call(
                lambda: self._parcels.create(
                    order.id, order.id, order.customer, order.country, items
                )
            )
        except parcels.ParcelProblem as problem:
            raise Refused(GONE) from problem

    async def keep_back(self, order: Order) -> bool:
        state = await self._wire.call(lambda: self._parcels.cancel(order.id))
        return state is parcels.State.CANCELLED


faults = st.dictionaries(st.integers(0, 9), st.sampled_from(["there", "back"]), max_size=4)
orders = st.lists(st.tuples(st.sampled_from("AB"), st.integers(1, 3)), min_size=1, max_size=3)
ends = st.lists(st.sampled_from(["advance", "give_up", "cancel"]), max_size=3)
AT_LAST_PACKING = {3: "there"}
"""The parcel is made up, and then the warehouse cannot be asked."""


@given(lost=faults, wanted=orders, ends=ends)
@example(lost=AT_LAST_PACKING, wanted=[("A", 1)], ends=["give_up"])
@example(lost=AT_LAST_PACKING, wanted=[("A", 1)], ends=["cancel"])
@example(lost={3: "back"}, wanted=[("A", 1)], ends=["give_up"])
@example(lost={2: "back"}, wanted=[("A", 1)], ends=["cancel"])
@example(lost={0: "back"}, wanted=[("A", 1)], ends=["give_up"])
@settings(max_examples=25, deadline=None)
def test_whatever_the_wire_loses_the_books_agree_once_all_is_finished(
    lost: dict[int, str], wanted: list[tuple[str, int]], ends: list[str]
) -> None:
    with TemporaryDirectory() as folder:
        asyncio.run(replay(Path(folder), Wire(lost), wanted, ends))


async def replay(folder: Path, wire: Wire, wanted: list[tuple[str, int]], ends: list[str]) -> None:
    databases = {name: Database(f"sqlite:///{folder}/{name}.db") for name in PARTS}
    async with contextlib.AsyncExitStack() as stack:
        for name, database in databases.items():
            stack.push_async_callback(database.close)
            await migrate(database, RETAIL / name / "migrations")
        await play(databases, wire, wanted, ends)


async def play(
    databases: dict[str, Database], wire: Wire, wanted: list[tuple[str, int]], ends: list[str]
) -> None:
    ledger = Ledger(databases["inventory"])
    await ledger.open(OPENING)
    warehouse = Warehouse(ledger, wire)
    shipments = Parcels(databases["shipping"], warehouse)
    book = OrderBook(databases["orders"])
    saga = Saga(book, Returns(databases["orders"]), warehouse, Carrier(shipments, wire))
    names = [name_of("customer", str(uuid.UUID(int=number))) for number in range(len(wanted))]
    for name, (sku, quantity) in zip(names, wanted, strict=True):
        await book.take_down(name, "customer", "France", [Line(sku, quantity, 100)], [])
    steps = [saga.advance(name) for name in names]
    for kind, name in zip(ends, names, strict=False):
        match kind:
            case "advance":
                steps.append(saga.advance(name))
            case "give_up":
                steps.append(saga.give_up(name))
            case _:
                steps.append(_order(saga.cancel(name)))
    for end in await asyncio.gather(*steps, return_exceptions=True):
        assert isinstance(end, Order | CallError), end
    finisher = Finisher(saga, pause=0.001, tries=3)
    await finisher.start()
    async with asyncio.timeout(60):
        await finisher.idle()
    await finisher.close()
    await assert_agreement(ledger, book, shipments, names)


PARTS = ("inventory", "orders", "shipping")


async def _order(cancelling: Awaitable[tuple[Order, int]]) -> Order:
    return (await cancelling)[0]


async def assert_agreement(
    ledger: Ledger, book: OrderBook, shipments: Parcels, names: list[str]
) -> None:
    ordered = {entry["sku"]: entry for entry in (await book.entries())[0]}
    sent, packing = await shipments.entries()
    assert packing == 0
    for entry in await ledger.entries():
        sku = entry["sku"]
        order = ordered.get(sku, {"shipped": 0, "reserved": 0, "returned": 0})
        assert entry["opening"] + entry["returned"] == entry["on_hand"] + entry["shipped"]
        assert entry["reserved"] == entry["reserved_count"] == order["reserved"] == 0
        assert entry["shipped"] == order["shipped"] == sent.get(sku, 0)
        assert entry["returned"] == order["returned"]
    for name in names:
        found = await book.find(name)
        assert found is not None
        assert found.state in FINAL
        assert (found.state is State.REJECTED) == (found.reason is not None)
