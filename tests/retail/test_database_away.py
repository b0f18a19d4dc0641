"""A shop whose services lose their databases, one after the other, and get them back.

Each caller is told so in words that name no host and no file; what was begun is finished without a
restart, and the books balance.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from acme.retail.inventory.v1 import inventory_pb2
from acme.retail.inventory.v1.inventory_mesh import InventoryServiceClient
from acme.retail.orders.v1 import orders_pb2
from acme.retail.orders.v1.orders_mesh import OrderServiceClient, OrderUnfinished
from acme.retail.shipping.v1 import shipping_pb2
from acme.retail.shipping.v1.shipping_mesh import ShippingServiceClient
from acme.retail.store.v1 import store_pb2
from acme.retail.store.v1.store_mesh import StoreServiceClient
from meshpact.clients import CallError
from meshpact.interceptors.errors import Code
from outages import WORDS, away, back
from reference.retail.dataset.books import SaleLine
from reference.retail.driver.audit import Audit
from reference.retail.driver.storefront import valid_order
from reference.retail.driver.tokens import SCOPES
from retailshop import OPENING, NewUrl, Shop


@pytest.fixture
async def shop(tmp_path: Path, new_url: NewUrl) -> AsyncIterator[Shop]:
    async with Shop(tmp_path, new_url) as shop:
        yield shop


async def place(shop: Shop, request_id: str, customer: str = "customer-1") -> orders_pb2.Order:
    client = OrderServiceClient(shop.outside.channel("orders"))
    request = valid_order([SaleLine("22423", 2, 295)], request_id)
    token = shop.tokens.mint(customer, SCOPES)
    return (await client.place_order(request, token=token)).order


async def placed_at_last(shop: Shop, request_id: str) -> orders_pb2.Order:
    """Asks for an order until it is answered, as its customer does."""
    while True:
        try:
            return await place(shop, request_id)
        except OrderUnfinished:
            await asyncio.sleep(0.05)


async def test_every_service_outlives_the_loss_of_its_database(shop: Shop) -> None:
    await on_the_way_of_an_order(shop, "inventory")
    await on_the_way_of_an_order(shop, "shipping")
    await where_orders_are_taken(shop)
    await in_the_shop_window(shop)


async def on_the_way_of_an_order(shop: Shop, service: str) -> None:
    await place(shop, str(uuid.uuid4()))
    name = str(uuid.uuid4())
    await away(shop.urls[service])
    with pytest.raises(OrderUnfinished) as caught:
        await place(shop, name)
    assert caught.value.code is Code.UNAVAILABLE
    assert "is not finished yet; ask again with the same request_id" in caught.value.message
    told = await told_by(shop, service)
    assert (told.code, told.reason, told.message) == (
        Code.UNAVAILABLE,
        "STORAGE_UNAVAILABLE",
        WORDS,
    )
    assert told.retry_after == 1.0
    await back(shop.urls[service])
    order = await placed_at_last(shop, name)
    assert order.state == orders_pb2.ORDER_STATE_SHIPPED
    assert await Audit.of(shop.outside).faults(patience=10) == []


async def told_by(shop: Shop, service: str) -> CallError:
    """What a service tells whose database is away."""
    token = shop.tokens.mint("customer-1", SCOPES)
    name = str(uuid.uuid4())
    with pytest.raises(CallError) as caught:
        if service == "inventory":
            await InventoryServiceClient(
                shop.outside.channel("inventory", identity="dashboard")
            ).get_stock(inventory_pb2.GetStockRequest(sku="22423"))
        else:
            await ShippingServiceClient(shop.outside.channel("shipping")).get_shipment(
                shipping_pb2.GetShipmentRequest(shipment_id=name), token=token
            )
    return caught.value


async def where_orders_are_taken(shop: Shop) -> None:
    first = await place(shop, str(uuid.uuid4()), "customer-2")
    client = OrderServiceClient(shop.outside.channel("orders"))
    token, name = shop.tokens.mint("customer-2", SCOPES), str(uuid.uuid4())
    await away(shop.urls["orders"])
    for attempt in (
        place(shop, name, "customer-2"),
        client.list_orders(orders_pb2.ListOrdersRequest(), token=token),
        client.cancel_order(orders_pb2.CancelOrderRequest(order_id=first.order_id), token=token),
    ):
        with pytest.raises(CallError) as caught:
            await attempt
        assert (caught.value.code, caught.value.reason) == (
            Code.UNAVAILABLE,
            "STORAGE_UNAVAILABLE",
        )
        assert caught.value.message == WORDS
    await back(shop.urls["orders"])
    await place(shop, name, "customer-2")
    found = await client.list_orders(orders_pb2.ListOrdersRequest(), token=token)
    assert len(found.orders) == 2
    assert await Audit.of(shop.outside).faults(patience=10) == []


async def in_the_shop_window(shop: Shop) -> None:
    await away(shop.urls["store"])
    client = StoreServiceClient(shop.outside.channel("store"))
    shown = await client.get_product(store_pb2.GetProductRequest(sku="85123A"))
    assert shown.product.available == OPENING["85123A"]
    await back(shop.urls["store"])
