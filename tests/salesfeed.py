"""A feed of order events for tests of those who follow it: orders' contract, scripted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

from acme.retail.orders.v1 import orders_pb2 as pb
from acme.retail.orders.v1.orders_mesh import OrderServiceBase, RevisionGone
from meshpact.servers.codegen import Call
from meshpact.testing.standin import stand_in
from reference.money import money

PLACED = pb.ORDER_EVENT_KIND_PLACED
SHIPPED = pb.ORDER_EVENT_KIND_SHIPPED
CANCELLED = pb.ORDER_EVENT_KIND_CANCELLED
RETURNED = pb.ORDER_EVENT_KIND_RETURNED

Line = tuple[str, int, int]
"""SKU, items, pence an item."""


def event(
    kind: pb.OrderEventKind.ValueType,
    *lines: Line,
    country: str = "Norway",
    at: int = 0,
    charges: int = 0,
    currency: str = "GBP",
    order_id: str = "",
    customer: str = "17850",
) -> pb.OrderEvent:
    """An event that happened `at` seconds since the epoch, without a revision."""
    made = pb.OrderEvent(
        kind=kind,
        order_id=order_id,
        customer=customer,
        country=country,
        lines=[
            pb.OrderLine(sku=sku, quantity=items, unit_price=money(pence, currency))
            for sku, items, pence in lines
        ],
        total=money(sum(items * pence for _, items, pence in lines) + charges, currency),
    )
    if charges:
        made.charges.append(pb.Charge(code="POST", amount=money(charges, currency)))
    made.event_time.FromSeconds(at)
    made.place_time.FromSeconds(at)
    return made


class Feed:
    """Events with revisions 1, 2, 3 and so on. `servicer` answers WatchOrderEvents with them."""

    def __init__(self, *events: pb.OrderEvent) -> None:
        self.events: list[pb.OrderEvent] = []
        self.asked: list[int] = []
        """After which revision followers began."""
        self.oldest = 0
        self._changed = asyncio.Condition()
        self._cut = 0
        self._append(events)
        self.servicer = stand_in(OrderServiceBase, watch_order_events=self._watch)

    async def add(self, *events: pb.OrderEvent) -> int:
        """Lets events happen; the revision of the last one."""
        async with self._changed:
            self._append(events)
            self._changed.notify_all()
        return len(self.events)

    async def cut(self) -> None:
        """Ends all streams that run, as a lost connection does."""
        async with self._changed:
            self._cut += 1
            self._changed.notify_all()

    def _append(self, events: Sequence[pb.OrderEvent]) -> None:
        for each in events:
            made = pb.OrderEvent()
            made.CopyFrom(each)
            made.revision = len(self.events) + 1
            self.events.append(made)

    async def _watch(
        self, request: pb.WatchOrderEventsRequest, _call: Call
    ) -> AsyncIterator[pb.WatchOrderEventsResponse]:
        after, cut = request.after_revision, self._cut
        self.asked.append(after)
        if after < self.oldest:
            raise RevisionGone(revision=after, oldest=self.oldest, newest=len(self.events))
        while found := await self._next(after, cut):
            yield pb.WatchOrderEventsResponse(events=found)
            after = found[-1].revision

    async def _next(self, after: int, cut: int) -> list[pb.OrderEvent]:
        """The events after a revision, as soon as there are any; none after a cut."""
        async with self._changed:
            await self._changed.wait_for(lambda: len(self.events) > after or self._cut > cut)
        return [] if self._cut > cut else self.events[after : after + 3]
