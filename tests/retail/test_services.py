"""What the shop shows: catalog and stock, one by one, in pages, as streams; to those who may."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from acme.retail.inventory.v1 import inventory_pb2 as pb
from acme.retail.inventory.v1.inventory_mesh import (
    InventoryServiceClient,
    ReservationEnded,
    ReservationUnknown,
    UnknownSku,
)
from acme.retail.orders.v1.orders_mesh import OrderServiceClient
from acme.retail.store.v1 import store_pb2
from acme.retail.store.v1.store_mesh import StockUnknown, StoreServiceClient
from meshpact.clients import CallError
from meshpact.interceptors.errors import Code
from reference.retail.dataset.books import SaleLine
from reference.retail.driver.storefront import valid_order
from reference.retail.driver.tokens import SCOPES
from retailshop import OPENING, Shop


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Shop]:
    names = iter(range(10))
    async with Shop(tmp_path, lambda: f"sqlite:///{tmp_path / str(next(names))}.db") as shop:
        yield shop


def inventory(shop: Shop, identity: str) -> InventoryServiceClient:
    return InventoryServiceClient(shop.outside.channel("inventory", identity=identity))


async def test_stock_is_told_for_one_sku_for_several_and_page_by_page(shop: Shop) -> None:
    client = inventory(shop, "dashboard")
    one = await client.get_stock(pb.GetStockRequest(sku="85123a"))
    assert (one.stock.sku, one.stock.on_hand) == ("85123A", OPENING["85123A"])
    several = await client.batch_get_stock(
        pb.BatchGetStockRequest(skus=["85123A", "NOSUCH", "22423"])
    )
    assert [stock.sku for stock in several.stocks] == ["85123A", "22423"]
    seen: list[str] = []
    token = ""
    while True:
        page = await client.list_stock(pb.ListStockRequest(page_size=2, page_token=token))
        seen += [stock.sku for stock in page.stocks]
        token = page.next_page_token
        if not token:
            break
    assert seen == sorted(OPENING)
    with pytest.raises(UnknownSku):
        await client.get_stock(pb.GetStockRequest(sku="NOSUCH"))
    with pytest.raises(CallError) as caught:
        await client.list_stock(pb.ListStockRequest(page_token="NOSUCH"))
    assert (caught.value.code, caught.value.reason) == (Code.INVALID_ARGUMENT, "INVALID_REQUEST")
    assert [fault.field for fault in caught.value.fields] == ["page_token"]


async def test_a_watch_of_an_unknown_sku_is_refused(shop: Shop) -> None:
    watch = inventory(shop, "dashboard").watch_stock(pb.WatchStockRequest(skus=["NOSUCH"]))
    with pytest.raises(UnknownSku):
        await anext(watch)


async def test_reservations_that_do_not_fit_together_are_told_apart(shop: Shop) -> None:
    orders, shipping = inventory(shop, "orders"), inventory(shop, "shipping")
    name = str(uuid.uuid4())
    with pytest.raises(ReservationUnknown):
        await shipping.ship_reservation(pb.ShipReservationRequest(reservation_id=name))
    await orders.release_reservation(pb.ReleaseReservationRequest(reservation_id=name))
    with pytest.raises(ReservationEnded, match="is released"):
        await orders.confirm_reservation(pb.ConfirmReservationRequest(reservation_id=name))


async def test_browsing_answers_every_look_in_order(shop: Shop) -> None:
    client = StoreServiceClient(shop.outside.channel("store"))
    looks = [store_pb2.BrowseRequest(sku=sku) for sku in ("85123a", "NOSUCH", "22423")]
    token = shop.tokens.mint("customer-1", SCOPES)
    seen = [answer async for answer in client.browse(_each(looks), token=token)]
    assert [(answer.sku, answer.available) for answer in seen] == [
        ("85123A", OPENING["85123A"]),
        ("NOSUCH", 0),
        ("22423", OPENING["22423"]),
    ]
    assert [answer.HasField("product") for answer in seen] == [True, False, True]


async def test_browsing_says_so_when_the_warehouse_does_not_answer(shop: Shop) -> None:
    await shop.mesh.stop("inventory")
    client = StoreServiceClient(shop.outside.channel("store"))
    token = shop.tokens.mint("customer-1", SCOPES)

    async def looks() -> AsyncIterator[store_pb2.BrowseRequest]:
        while True:
            yield store_pb2.BrowseRequest(sku="85123A")
            await asyncio.sleep(0.1)

    with pytest.raises(StockUnknown, match="how many items are left"):
        async for _ in client.browse(looks(), token=token):
            pass


@pytest.mark.parametrize("identity", ["stranger", "storefront", "shipping", "auditor"])
async def test_only_orders_may_reserve_stock(shop: Shop, identity: str) -> None:
    request = pb.ReserveStockRequest(
        request_id=str(uuid.uuid4()), lines=[pb.StockLine(sku="85123A", quantity=3)]
    )
    with pytest.raises(CallError) as caught:
        await inventory(shop, identity).reserve_stock(request)
    assert (caught.value.code, caught.value.reason) == (Code.PERMISSION_DENIED, "ROLE_MISSING")


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("request_id", {"request_id": "1"}),
        ("country", {"country": ""}),
        ("lines", {"lines": []}),
    ],
)
async def test_an_order_with_a_wrong_field_is_refused_by_its_name(
    shop: Shop, field: str, change: dict[str, object]
) -> None:
    client = OrderServiceClient(shop.outside.channel("orders"))
    order = valid_order([SaleLine("85123A", 1, 295)], str(uuid.uuid4()))
    for name, value in change.items():
        order.ClearField(name)  # type: ignore[arg-type]
        if isinstance(value, str):
            setattr(order, name, value)
    with pytest.raises(CallError) as caught:
        await client.place_order(order, token=shop.tokens.mint("customer-1", SCOPES))
    assert caught.value.reason == "INVALID_REQUEST"
    assert [violation.field for violation in caught.value.fields] == [field]


async def test_a_price_below_zero_or_in_other_money_is_refused(shop: Shop) -> None:
    client = OrderServiceClient(shop.outside.channel("orders"))
    order = valid_order([SaleLine("85123A", 1, -1)], str(uuid.uuid4()))
    order.lines[0].unit_price.currency_code = "EUR"
    with pytest.raises(CallError) as caught:
        await client.place_order(order, token=shop.tokens.mint("customer-1", SCOPES))
    assert {violation.field for violation in caught.value.fields} == {"lines[0].unit_price"}
    words = " ".join(violation.description for violation in caught.value.fields)
    assert "whole pence and must not be negative" in words
    assert "must be in GBP" in words


async def _each(looks: list[store_pb2.BrowseRequest]) -> AsyncIterator[store_pb2.BrowseRequest]:
    for look in looks:
        yield look
