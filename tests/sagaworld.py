"""Warehouse and carrier for tests of the saga: real ones, with a faulty wire before them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TypeVar

from meshpact.clients import CallError
from meshpact.interceptors.errors import Code
from reference.retail.inventory.ledger import Ledger, Receipt
from reference.retail.inventory.problems import EndedReservation, Shortage, UnknownReservation
from reference.retail.orders.book import OrderBook
from reference.retail.orders.model import FINAL, Order, Reason, State, Why
from reference.retail.orders.partners import Refused
from reference.retail.shipping import parcels
from reference.retail.shipping.parcels import Parcels

T = TypeVar("T")
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
