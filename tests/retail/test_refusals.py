"""Who is refused at the shop, and why: each path with its code, its reason and its words."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio

from acme.retail.inventory.v1 import inventory_pb2
from acme.retail.inventory.v1.inventory_mesh import InventoryServiceClient
from acme.retail.orders.v1 import orders_pb2 as pb
from acme.retail.orders.v1.orders_mesh import OrderServiceClient, OrderUnknown
from acme.retail.store.v1 import store_pb2
from acme.retail.store.v1.store_mesh import StoreServiceClient
from meshpact.clients import CallError
from meshpact.interceptors.errors import Code
from reference.retail.dataset.books import SaleLine
from reference.retail.driver.storefront import valid_order
from reference.retail.driver.tokens import SCOPES
from retailshop import Shop

pytestmark = pytest.mark.asyncio(loop_scope="module")
TWO_HOURS = 7200.0
LONG = 10.0


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shop(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Shop]:
    folder: Path = tmp_path_factory.mktemp("shop")
    names = iter(range(10))
    async with Shop(folder, lambda: f"sqlite:///{folder / str(next(names))}.db") as shop:
        yield shop


def orders(shop: Shop, identity: str = "storefront") -> OrderServiceClient:
    return OrderServiceClient(shop.outside.channel("orders", identity=identity))


def order() -> pb.PlaceOrderRequest:
    return valid_order([SaleLine("85123A", 1, 295)], str(uuid.uuid4()))


async def refused(shop: Shop, token: str, identity: str = "storefront") -> CallError:
    with pytest.raises(CallError) as caught:
        await orders(shop, identity).place_order(order(), token=token)
    return caught.value


async def test_a_workload_without_the_role_is_refused(shop: Shop) -> None:
    found = await refused(shop, shop.tokens.mint("customer-1", SCOPES), "stranger")
    assert (found.code, found.reason) == (Code.PERMISSION_DENIED, "ROLE_MISSING")
    assert "none of the caller's roles is allowed here (one of: orders.writer)" in found.message


async def test_an_order_of_nobody_is_refused(shop: Shop) -> None:
    found = await refused(shop, "")
    assert (found.code, found.reason) == (Code.UNAUTHENTICATED, "TOKEN_MISSING")
    assert found.message == "Unauthenticated: the call brings no end user's access token"


async def test_an_old_token_is_refused(shop: Shop) -> None:
    found = await refused(shop, shop.tokens.mint("customer-1", SCOPES, age=TWO_HOURS))
    assert (found.code, found.reason) == (Code.UNAUTHENTICATED, "TOKEN_EXPIRED")
    assert found.message == "Unauthenticated: the token has expired"


async def test_a_token_without_the_scope_is_refused(shop: Shop) -> None:
    found = await refused(shop, shop.tokens.mint("customer-1", ["orders.read"]))
    assert (found.code, found.reason) == (Code.PERMISSION_DENIED, "SCOPE_MISSING")
    assert "orders.write" in found.message


async def test_an_order_of_another_customer_looks_like_one_that_is_not_there(shop: Shop) -> None:
    mine, other = (shop.tokens.mint(f"customer-{number}", SCOPES) for number in (1, 2))
    placed = await orders(shop).place_order(order(), token=mine)
    for name in (placed.order.order_id, str(uuid.uuid4())):
        wanted = pb.GetOrderRequest(order_id=name)
        for ask in (
            orders(shop).get_order(wanted, token=other),
            orders(shop).cancel_order(pb.CancelOrderRequest(order_id=name), token=other),
        ):
            with pytest.raises(OrderUnknown) as caught:
                await ask
            assert caught.value.code is Code.NOT_FOUND
            assert caught.value.message == f"You have no order {name}."
    shown = await orders(shop).list_orders(pb.ListOrdersRequest(), token=other)
    assert list(shown.orders) == []


async def test_a_caller_who_asks_too_often_is_refused_and_told_when_to_ask_again(
    shop: Shop,
) -> None:
    client = StoreServiceClient(shop.outside.channel("store", identity="scraper"))
    request = store_pb2.ListProductsRequest()
    with shop.mesh.clock.still():
        ends = await asyncio.gather(
            *(client.list_products(request, timeout=LONG) for _ in range(40)),
            return_exceptions=True,
        )
    found = [end for end in ends if isinstance(end, CallError)]
    assert len(found) == 20
    assert {(end.code, end.reason) for end in found} == {(Code.RESOURCE_EXHAUSTED, "RATE_LIMITED")}
    assert all("Rate limit reached: 20 calls in 1 s" in end.message for end in found)


async def test_a_watch_ends_when_its_time_is_over(shop: Shop) -> None:
    client = InventoryServiceClient(shop.outside.channel("inventory", identity="dashboard"))
    watch = client.watch_stock(inventory_pb2.WatchStockRequest(), timeout=0.5)
    with pytest.raises(CallError) as caught:
        async for _ in watch:
            pass
    assert caught.value.code is Code.DEADLINE_EXCEEDED


def changed(change: Callable[[pb.PlaceOrderRequest], object]) -> pb.PlaceOrderRequest:
    request = order()
    change(request)
    return request


def price(request: pb.PlaceOrderRequest, **values: object) -> None:
    for name, value in values.items():
        setattr(request.lines[0].unit_price, name, value)


WRONG: dict[str, tuple[pb.PlaceOrderRequest, str, str]] = {
    "no request_id": (changed(lambda r: r.ClearField("request_id")), "request_id", "UUID"),
    "no lines": (changed(lambda r: r.ClearField("lines")), "lines", "at least 1"),
    "no sku": (changed(lambda r: r.lines[0].ClearField("sku")), "lines[0].sku", "pattern"),
    "an odd sku": (changed(lambda r: setattr(r.lines[0], "sku", "a b")), "lines[0].sku", "pattern"),
    "no items": (
        changed(lambda r: setattr(r.lines[0], "quantity", 0)),
        "lines[0].quantity",
        "1",
    ),
    "too many items": (
        changed(lambda r: setattr(r.lines[0], "quantity", 1_000_001)),
        "lines[0].quantity",
        "1000000",
    ),
    "no price": (
        changed(lambda r: r.lines[0].ClearField("unit_price")),
        "lines[0].unit_price",
        "",
    ),
    "a price below zero": (
        changed(lambda r: price(r, units=-1)),
        "lines[0].unit_price",
        "whole pence and must not be negative",
    ),
    "half a penny": (
        changed(lambda r: price(r, nanos=5_000_000)),
        "lines[0].unit_price",
        "whole pence",
    ),
    "other money": (
        changed(lambda r: price(r, currency_code="EUR")),
        "lines[0].unit_price",
        "must be in GBP",
    ),
    "no country": (changed(lambda r: r.ClearField("country")), "country", "pattern"),
    "a charge of nothing": (changed(lambda r: r.charges.add()), "charges[0].code", "pattern"),
}


@pytest.mark.parametrize("what", WRONG)
async def test_a_wrong_order_is_refused_by_the_field(shop: Shop, what: str) -> None:
    request, field, words = WRONG[what]
    with pytest.raises(CallError) as caught:
        await orders(shop).place_order(request, token=shop.tokens.mint("customer-1", SCOPES))
    found = caught.value
    assert (found.code, found.reason) == (Code.INVALID_ARGUMENT, "INVALID_REQUEST")
    assert found.fields[0].field == field
    assert words in found.fields[0].description
    assert found.message.startswith("Invalid request: ")
