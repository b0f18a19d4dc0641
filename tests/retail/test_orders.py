"""Orders through the whole shop, over real sockets and TLS: filled, undone, sent back, audited."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable
from pathlib import Path

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from sqlalchemy import text

from acme.retail.inventory.v1 import inventory_pb2
from acme.retail.inventory.v1.inventory_mesh import InventoryServiceClient
from acme.retail.orders.v1 import orders_pb2 as pb
from acme.retail.orders.v1.orders_mesh import (
    NotDeliverable,
    OrderCancelled,
    OrderServiceClient,
    OrderUnfinished,
    OrderUnknown,
    OutOfStock,
    ProductUnknown,
    RequestReused,
)
from acme.retail.shipping.v1 import shipping_pb2
from acme.retail.shipping.v1.shipping_mesh import ShipmentUnknown, ShippingServiceClient
from meshpact.clients import CallError
from meshpact.interceptors.errors import Code
from reference.money import minor_units, money
from reference.retail.driver.audit import Audit
from reference.retail.driver.tokens import SCOPES
from reference.retail.orders.book import OrderBook
from reference.retail.orders.model import State, name_of
from reference.retail.orders.partners import Inventory, Shipping
from reference.retail.orders.returns import Returns
from reference.retail.orders.saga import Saga
from retail.asking import settled
from retailshop import NewUrl, Shop

HEART = "85123A"
LONG = 20.0
"""Seconds: the longest an order may take; the machine may be busy."""


@pytest.fixture
async def shop(tmp_path: Path, new_url: NewUrl) -> AsyncIterator[Shop]:
    async with Shop(tmp_path, new_url) as shop:
        yield shop


class Customer:
    """One customer at the storefront."""

    def __init__(self, shop: Shop, name: str = "customer-1") -> None:
        self.name = name
        self._orders = OrderServiceClient(shop.outside.channel("orders"))
        self._shipping = ShippingServiceClient(shop.outside.channel("shipping"))
        self._token = shop.tokens.mint(name, SCOPES)

    async def place(
        self,
        items: dict[str, int],
        request_id: str = "",
        *,
        charge: int = 0,
        patient: bool = True,
    ) -> pb.PlaceOrderResponse:
        request = pb.PlaceOrderRequest(
            request_id=request_id or str(uuid.uuid4()),
            lines=[
                pb.OrderLine(
                    sku=sku,
                    quantity=quantity,
                    unit_price=money(250),
                )
                for sku, quantity in items.items()
            ],
            charges=[pb.Charge(code="POST", amount=money(charge))] if charge else [],
            country="France",
        )

        def ask() -> Awaitable[pb.PlaceOrderResponse]:
            return self._orders.place_order(request, timeout=LONG, token=self._token)

        return await (settled(ask) if patient else ask())

    async def get(self, order_id: str) -> pb.Order:
        request = pb.GetOrderRequest(order_id=order_id)
        return (await self._orders.get_order(request, token=self._token)).order

    async def left_at(self, order_id: str) -> Timestamp | None:
        request = pb.GetOrderRequest(order_id=order_id)
        answer = await self._orders.get_order(request, timeout=LONG, token=self._token)
        return answer.ship_time if answer.HasField("ship_time") else None

    async def page(self, size: int, token: str = "") -> pb.ListOrdersResponse:
        request = pb.ListOrdersRequest(page_size=size, page_token=token)
        return await self._orders.list_orders(request, token=self._token)

    async def cancel(self, order_id: str) -> pb.CancelOrderResponse:
        request = pb.CancelOrderRequest(order_id=order_id)
        return await self._orders.cancel_order(request, timeout=LONG, token=self._token)

    async def send_back(
        self, items: dict[str, int], request_id: str = ""
    ) -> list[tuple[int, int, str]]:
        request = pb.ReturnItemsRequest(
            request_id=request_id or str(uuid.uuid4()),
            lines=[pb.ReturnLine(sku=sku, quantity=items) for sku, items in items.items()],
        )
        answer = await self._orders.return_items(request, timeout=LONG, token=self._token)
        return [(line.matched, line.unmatched, line.order_id) for line in answer.lines]

    async def shipment(self, name: str) -> shipping_pb2.Shipment:
        request = shipping_pb2.GetShipmentRequest(shipment_id=name)
        return (await self._shipping.get_shipment(request, token=self._token)).shipment


async def stock(shop: Shop, sku: str = HEART) -> tuple[int, int, int]:
    """On hand, reserved, shipped."""
    client = InventoryServiceClient(shop.outside.channel("inventory", identity="store"))
    found = (await client.get_stock(inventory_pb2.GetStockRequest(sku=sku))).stock
    return found.on_hand, found.reserved, found.shipped


async def faults(shop: Shop) -> list[str]:
    return await Audit.of(shop.outside).faults(patience=0)


async def test_an_order_takes_its_stock_and_ships_it(shop: Shop) -> None:
    customer = Customer(shop)
    on_hand, _, _ = await stock(shop)
    placed = await customer.place({"85123a": 6, "22423": 1}, charge=1800)
    assert placed.order.state == pb.ORDER_STATE_SHIPPED
    assert minor_units(placed.order.total) == 7 * 250 + 1800
    assert await stock(shop) == (on_hand - 6, 0, 6)
    order = await customer.get(placed.order.order_id)
    assert [(line.sku, line.quantity) for line in order.lines] == [(HEART, 6), ("22423", 1)]
    assert [charge.code for charge in order.charges] == ["POST"]
    shipment = await customer.shipment(placed.shipment_id)
    assert (shipment.state, shipment.items) == (shipping_pb2.SHIPMENT_STATE_SHIPPED, 7)
    assert await faults(shop) == []


async def test_a_request_id_places_one_order_however_often_it_is_sent(shop: Shop) -> None:
    customer = Customer(shop)
    request_id = str(uuid.uuid4())
    answers = await asyncio.gather(*(customer.place({HEART: 6}, request_id) for _ in range(5)))
    again = await customer.place({HEART: 6}, request_id.upper())
    assert len({answer.order.order_id for answer in [*answers, again]}) == 1
    assert (await stock(shop))[1:] == (0, 6)
    with pytest.raises(RequestReused):
        await customer.place({HEART: 7}, request_id)
    other = await Customer(shop, "customer-2").place({HEART: 1}, request_id)
    assert other.order.order_id != again.order.order_id
    assert await faults(shop) == []


async def test_an_order_for_more_than_there_is_leaves_all_stock_on_sale(shop: Shop) -> None:
    customer = Customer(shop)
    on_hand, _, _ = await stock(shop)
    request_id = str(uuid.uuid4())
    for _ in range(2):
        with pytest.raises(OutOfStock) as caught:
            await customer.place({"22423": 1, HEART: on_hand + 1}, request_id)
        assert (caught.value.sku, caught.value.available) == (HEART, str(on_hand))
    assert await stock(shop) == (on_hand, 0, 0)
    with pytest.raises(ProductUnknown):
        await customer.place({HEART: 1, "NOSUCH": 1})
    assert await stock(shop) == (on_hand, 0, 0)
    assert await faults(shop) == []


async def test_an_order_that_no_carrier_takes_is_undone(shop: Shop) -> None:
    customer = Customer(shop)
    before = await stock(shop, "23084")
    assert before[0] > 10_000
    with pytest.raises(NotDeliverable, match="at most 10000 items; this one has 10001"):
        await customer.place({"23084": 10_001})
    assert await stock(shop, "23084") == before
    assert await faults(shop) == []


async def test_an_order_waits_for_shipping_to_come_back(shop: Shop) -> None:
    customer = Customer(shop)
    request_id = str(uuid.uuid4())
    await shop.mesh.stop("shipping")
    with pytest.raises(OrderUnfinished):
        await customer.place({HEART: 6}, request_id, patient=False)
    assert (await stock(shop))[1:] == (6, 0)
    await shop.mesh.start("shipping")
    await customer.place({HEART: 6}, request_id)
    assert (await stock(shop))[1:] == (0, 6)
    assert await faults(shop) == []


async def test_an_order_is_finished_after_the_service_itself_was_down(shop: Shop) -> None:
    customer = Customer(shop)
    request_id = str(uuid.uuid4())
    await shop.mesh.stop("shipping")
    with pytest.raises(OrderUnfinished):
        await customer.place({HEART: 6}, request_id, patient=False)
    await shop.mesh.stop("orders")
    await shop.mesh.start("shipping")
    await shop.mesh.start("orders")
    assert await Audit.of(shop.outside).faults(patience=30) == []
    order = await customer.get(name_of(customer.name, request_id))
    assert order.state == pb.ORDER_STATE_SHIPPED


async def test_an_order_that_shipping_never_takes_is_undone_for_good(shop: Shop) -> None:
    customer = Customer(shop)
    request_id = str(uuid.uuid4())
    before = await stock(shop)
    await shop.mesh.stop("shipping")
    with pytest.raises(OrderUnfinished):
        await customer.place({HEART: 6}, request_id, patient=False)
    await shop.mesh.stop("orders")
    await shop.mesh.start("shipping")
    database = await shop.database("orders")
    context = shop.context("orders")
    saga = Saga(
        OrderBook(database),
        Returns(database),
        Inventory(InventoryServiceClient(context.channel("inventory"))),
        Shipping(ShippingServiceClient(context.channel("shipping"))),
    )
    order = await saga.give_up(name_of(customer.name, request_id))
    assert order.state is State.REJECTED
    assert await saga.advance(order.id) == await saga.give_up(order.id)
    await context.aclose()
    await database.close()
    await shop.mesh.start("orders")
    assert await stock(shop) == before
    with pytest.raises(NotDeliverable):
        await customer.place({HEART: 6}, request_id)
    assert await faults(shop) == []


async def test_cancelling_a_shipped_order_brings_its_goods_back_once(shop: Shop) -> None:
    customer = Customer(shop)
    on_hand, _, _ = await stock(shop)
    request_id = str(uuid.uuid4())
    placed = await customer.place({HEART: 6}, request_id)
    for _ in range(2):
        ended = await customer.cancel(placed.order.order_id)
        assert (ended.order.state, ended.items_back) == (pb.ORDER_STATE_CANCELLED, 6)
    assert await stock(shop) == (on_hand, 0, 6)
    with pytest.raises(OrderCancelled):
        await customer.place({HEART: 6}, request_id)
    assert await customer.send_back({HEART: 1}) == [(0, 1, "")]
    assert await faults(shop) == []


async def test_cancelling_an_order_that_has_not_left_releases_its_stock(shop: Shop) -> None:
    customer = Customer(shop)
    before = await stock(shop)
    request_id = str(uuid.uuid4())
    await shop.mesh.stop("shipping")
    with pytest.raises(OrderUnfinished):
        await customer.place({HEART: 6}, request_id, patient=False)
    with pytest.raises(OrderUnfinished):
        await customer.cancel(name_of(customer.name, request_id))
    assert await stock(shop) == before
    await shop.mesh.start("shipping")
    ended = await settled(lambda: customer.cancel(name_of(customer.name, request_id)))
    assert ended.order.state in {pb.ORDER_STATE_CANCELLED, pb.ORDER_STATE_REJECTED}
    assert await stock(shop) == before
    assert await faults(shop) == []


async def test_shipping_tells_the_customer_when_an_order_left_and_nobody_else(shop: Shop) -> None:
    customer = Customer(shop)
    placed = await customer.place({HEART: 1})
    shipment = await customer.shipment(placed.shipment_id)
    assert await customer.left_at(placed.order.order_id) == shipment.ship_time
    with pytest.raises(OrderUnknown):
        await Customer(shop, "99999").left_at(placed.order.order_id)
    await shop.mesh.stop("shipping")
    assert await customer.left_at(placed.order.order_id) is None


async def test_goods_sent_back_match_the_latest_sale_and_the_rest_is_unmatched(
    shop: Shop,
) -> None:
    customer = Customer(shop)
    on_hand, _, _ = await stock(shop)
    first = (await customer.place({HEART: 5})).order.order_id
    second = (await customer.place({HEART: 3})).order.order_id
    request_id = str(uuid.uuid4())
    for _ in range(2):
        assert await customer.send_back({HEART: 4}, request_id) == [(3, 1, second)]
    assert await customer.send_back({HEART: 2, "22423": 1}) == [(2, 0, first), (0, 1, "")]
    with pytest.raises(RequestReused):
        await customer.send_back({HEART: 1}, request_id)
    assert await stock(shop) == (on_hand - 3, 0, 8)
    assert await Customer(shop, "customer-2").send_back({HEART: 1}) == [(0, 1, "")]
    assert await faults(shop) == []


async def test_customers_see_their_own_orders_page_by_page(shop: Shop) -> None:
    customer, other = Customer(shop), Customer(shop, "customer-2")
    placed = [(await customer.place({HEART: 1})).order.order_id for _ in range(3)]
    for _ in range(2):
        await other.place({HEART: 1})
    seen: list[str] = []
    token = ""
    while True:
        page = await customer.page(1, token)
        seen += [order.order_id for order in page.orders]
        token = page.next_page_token
        if not token:
            break
    assert seen == placed[::-1]
    assert len((await customer.page(0)).orders) == 3
    with pytest.raises(OrderUnknown):
        await other.get(placed[0])
    with pytest.raises(ShipmentUnknown):
        await other.shipment(placed[0])
    of_another = (await other.page(1)).next_page_token
    assert of_another
    for token in ("bm90aGluZw", of_another):
        with pytest.raises(CallError) as caught:
            await customer.page(1, token)
        assert caught.value.code is Code.INVALID_ARGUMENT
        assert [fault.field for fault in caught.value.fields] == ["page_token"]


@pytest.mark.parametrize(
    ("service", "tampering", "words"),
    [
        ("inventory", "UPDATE stock SET on_hand = on_hand + 1 WHERE sku = '85123A'", "came in"),
        ("inventory", "UPDATE stock SET shipped = shipped + 1, on_hand = on_hand - 1 "
         "WHERE sku = '85123A'", "running counts"),
        ("orders", "UPDATE order_lines SET quantity = 7", "orders says 7"),
        ("orders", "UPDATE orders SET state = 'pending'", "1 orders or returns are not finished"),
        ("shipping", "UPDATE shipments SET state = 'cancelled'", "shipping says 0"),
        ("shipping", "UPDATE shipments SET state = 'packing'", "1 shipments are not finished"),
        ("shipping", "UPDATE shipment_lines SET sku = 'NOSUCH'", "not in the warehouse"),
    ],
)  # fmt: skip
async def test_the_audit_finds_books_that_disagree(
    shop: Shop, service: str, tampering: str, words: str
) -> None:
    await Customer(shop).place({HEART: 6})
    assert await faults(shop) == []
    database = await shop.database(service)
    await database.write(lambda connection: connection.execute(text(tampering)))
    await database.close()
    assert any(words in fault for fault in await faults(shop))
