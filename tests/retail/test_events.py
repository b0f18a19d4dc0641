"""What happened to orders, as others follow it: complete, in order, once, from any revision."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from acme.retail.orders.v1 import orders_pb2 as pb
from acme.retail.orders.v1.orders_mesh import NotDeliverable, OrderServiceClient, RevisionGone
from meshpact.clients import CallError
from meshpact.interceptors.errors import Code
from reference.money import minor_units, money
from reference.retail.driver.tokens import SCOPES
from retail.asking import settled
from retailshop import NewUrl, Shop

HEART = "85123A"
LONG = 20.0


@pytest.fixture
async def shop(tmp_path: Path, new_url: NewUrl) -> AsyncIterator[Shop]:
    async with Shop(tmp_path, new_url) as shop:
        yield shop


def watch(
    shop: Shop, after: int = 0, identity: str = "sales"
) -> AsyncIterator[pb.WatchOrderEventsResponse]:
    client = OrderServiceClient(shop.outside.channel("orders", identity=identity))
    return client.watch_order_events(pb.WatchOrderEventsRequest(after_revision=after))


async def read(shop: Shop, count: int, after: int = 0) -> list[pb.OrderEvent]:
    found: list[pb.OrderEvent] = []
    async with asyncio.timeout(30):
        async for part in watch(shop, after):
            found += part.events
            if len(found) >= count:
                return found
    raise AssertionError("the stream ended")


class Customer:
    def __init__(self, shop: Shop, name: str = "customer-1") -> None:
        self._client = OrderServiceClient(shop.outside.channel("orders"))
        self._token = shop.tokens.mint(name, SCOPES)

    async def place(self, items: dict[str, int], pence: int = 250) -> str:
        request = pb.PlaceOrderRequest(
            request_id=str(uuid.uuid4()),
            lines=[
                pb.OrderLine(sku=sku, quantity=quantity, unit_price=money(pence))
                for sku, quantity in items.items()
            ],
            charges=[pb.Charge(code="POST", amount=money(1800))],
            country="France",
        )
        answer = await settled(
            lambda: self._client.place_order(request, timeout=LONG, token=self._token)
        )
        return answer.order.order_id

    async def cancel(self, order_id: str) -> None:
        request = pb.CancelOrderRequest(order_id=order_id)
        await self._client.cancel_order(request, timeout=LONG, token=self._token)

    async def send_back(self, items: dict[str, int]) -> None:
        request = pb.ReturnItemsRequest(
            request_id=str(uuid.uuid4()),
            lines=[pb.ReturnLine(sku=sku, quantity=items) for sku, items in items.items()],
        )
        await self._client.return_items(request, timeout=LONG, token=self._token)


def told(event: pb.OrderEvent) -> tuple[int, str, str, list[tuple[str, int, int]], int]:
    return (
        event.revision,
        pb.OrderEventKind.Name(event.kind).removeprefix("ORDER_EVENT_KIND_"),
        event.order_id,
        [(line.sku, line.quantity, minor_units(line.unit_price)) for line in event.lines],
        minor_units(event.total),
    )


async def test_every_end_of_an_order_is_told_with_its_lines_and_money(shop: Shop) -> None:
    customer = Customer(shop)
    first = await customer.place({HEART: 4, "22423": 1})
    second = await customer.place({HEART: 2}, pence=300)
    await customer.send_back({HEART: 3})
    await customer.cancel(first)
    events = await read(shop, 6)
    goods = [(HEART, 4, 250), ("22423", 1, 250)]
    assert [told(event) for event in events] == [
        (1, "PLACED", first, goods, 3050),
        (2, "SHIPPED", first, goods, 1250),
        (3, "PLACED", second, [(HEART, 2, 300)], 2400),
        (4, "SHIPPED", second, [(HEART, 2, 300)], 600),
        (5, "RETURNED", second, [(HEART, 2, 300)], 600),
        (6, "CANCELLED", first, goods, 1250),
    ]
    assert {(event.customer, event.country) for event in events} == {("customer-1", "France")}
    assert [bool(event.return_id) for event in events] == [False] * 4 + [True] * 2
    assert [bool(event.charges) for event in events] == [True, False, True, False, False, False]
    times = [event.event_time.ToDatetime() for event in events]
    assert times == sorted(times)
    assert all(event.place_time.ToDatetime() <= event.event_time.ToDatetime() for event in events)


async def test_a_cancelled_order_tells_what_had_not_come_back_before(shop: Shop) -> None:
    customer = Customer(shop)
    order = await customer.place({HEART: 4})
    await customer.send_back({HEART: 1})
    await customer.cancel(order)
    await customer.cancel(order)
    events = await read(shop, 4)
    assert [told(event)[1:4] for event in events[2:]] == [
        ("RETURNED", order, [(HEART, 1, 250)]),
        ("CANCELLED", order, [(HEART, 3, 250)]),
    ]
    assert len(await read(shop, 4)) == 4


async def test_an_order_that_could_not_be_sent_is_placed_and_then_cancelled(shop: Shop) -> None:
    with pytest.raises(NotDeliverable):
        await Customer(shop).place({"23084": 10_001})
    events = await read(shop, 2)
    assert [pb.OrderEventKind.Name(event.kind) for event in events] == [
        "ORDER_EVENT_KIND_PLACED",
        "ORDER_EVENT_KIND_CANCELLED",
    ]
    assert events[0].total == events[1].total


async def test_who_comes_back_with_a_revision_goes_on_without_gap_or_repetition(
    shop: Shop,
) -> None:
    customer = Customer(shop)
    stream = watch(shop)
    seen: list[int] = []
    placing = asyncio.gather(*(customer.place({HEART: 1}) for _ in range(10)))
    async with asyncio.timeout(60):
        async for part in stream:
            seen += [event.revision for event in part.events]
            if len(seen) >= 7:
                break
        await stream.aclose()  # type: ignore[attr-defined]
        await placing
        seen += [event.revision for event in await read(shop, 20 - len(seen), seen[-1])]
        await shop.mesh.stop("orders")
        await shop.mesh.start("orders")
        await customer.place({HEART: 1})
        seen += [event.revision for event in await read(shop, 2, seen[-1])]
    assert seen == list(range(1, 23))


async def test_a_revision_that_was_never_there_is_refused_with_those_that_are(shop: Shop) -> None:
    await Customer(shop).place({HEART: 1})
    with pytest.raises(RevisionGone) as caught:
        await anext(watch(shop, after=7))
    assert caught.value.code is Code.OUT_OF_RANGE
    assert (caught.value.revision, caught.value.oldest, caught.value.newest) == ("7", "0", "2")
    assert "after the revisions 0 to 2, not after 7" in caught.value.message


@pytest.mark.parametrize("identity", ["storefront", "auditor", "stranger"])
async def test_only_readers_of_events_may_follow_them(shop: Shop, identity: str) -> None:
    with pytest.raises(CallError) as caught:
        await anext(watch(shop, identity=identity))
    assert (caught.value.code, caught.value.reason) == (Code.PERMISSION_DENIED, "ROLE_MISSING")
