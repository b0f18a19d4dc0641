"""Every method of the shop refuses whom and what its contract says: by role, user, time and field.

Methods and rules are read from the contracts, so that a new one cannot be left out.
"""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from google.protobuf.message import Message

from acme.retail.inventory.v1 import inventory_pb2
from acme.retail.inventory.v1.inventory_mesh import INVENTORY_SERVICE, InventoryServiceClient
from acme.retail.orders.v1 import orders_pb2
from acme.retail.orders.v1.orders_mesh import ORDER_SERVICE, OrderServiceClient
from acme.retail.shipping.v1 import shipping_pb2
from acme.retail.shipping.v1.shipping_mesh import SHIPPING_SERVICE, ShippingServiceClient
from acme.retail.store.v1 import store_pb2
from acme.retail.store.v1.store_mesh import STORE_SERVICE, StoreServiceClient
from meshpact.clients import CallError
from meshpact.interceptors.errors import Code, StatusError
from meshpact.interceptors.policy import EndUserRule
from meshpact.interceptors.spec import MethodSpec
from reference.retail.dataset.books import SaleLine
from reference.retail.driver.storefront import valid_order
from reference.retail.driver.tokens import SCOPES
from refusedmethods import wrongs
from retailshop import Shop

pytestmark = pytest.mark.asyncio(loop_scope="module")
TWO_HOURS = 7200.0
SPECS = (INVENTORY_SERVICE, STORE_SERVICE, ORDER_SERVICE, SHIPPING_SERVICE)
CLIENTS: dict[str, tuple[str, Any]] = {
    INVENTORY_SERVICE.name: ("inventory", InventoryServiceClient),
    STORE_SERVICE.name: ("store", StoreServiceClient),
    ORDER_SERVICE.name: ("orders", OrderServiceClient),
    SHIPPING_SERVICE.name: ("shipping", ShippingServiceClient),
}
METHODS: dict[str, MethodSpec[Any, Any]] = {
    f"{spec.name.rpartition('.')[2]}.{method.name}": method
    for spec in SPECS
    for method in spec.methods
}
MAY: dict[str, str] = {
    "inventory.reader": "dashboard",
    "inventory.writer": "orders",
    "inventory.shipper": "shipping",
    "inventory.receiver": "supplier",
    "store.reader": "storefront",
    "orders.reader": "storefront",
    "orders.writer": "storefront",
    "orders.events": "billing",
    "shipping.reader": "storefront",
    "shipping.writer": "orders",
    "ledger.auditor": "auditor",
}
NAME = str(uuid.UUID(int=7, version=4))
ITEM = inventory_pb2.StockLine(sku="22423", quantity=1)
GOOD: tuple[Message, ...] = (
    inventory_pb2.GetStockRequest(sku="22423"),
    inventory_pb2.BatchGetStockRequest(skus=["22423"]),
    inventory_pb2.ListStockRequest(),
    inventory_pb2.WatchStockRequest(skus=["22423"]),
    inventory_pb2.ReserveStockRequest(request_id=NAME, lines=[ITEM]),
    inventory_pb2.ConfirmReservationRequest(reservation_id=NAME),
    inventory_pb2.ReleaseReservationRequest(reservation_id=NAME),
    inventory_pb2.ShipReservationRequest(reservation_id=NAME),
    inventory_pb2.ReturnStockRequest(request_id=NAME, lines=[ITEM]),
    inventory_pb2.ImportStockRequest(
        request_id=NAME,
        kind=inventory_pb2.STOCK_IMPORT_KIND_COUNT,
        rows=[inventory_pb2.StockImportRow(line=1, sku="22423", description="A", quantity=50)],
    ),
    inventory_pb2.ExportLedgerRequest(),
    store_pb2.GetProductRequest(sku="22423"),
    store_pb2.ListProductsRequest(),
    store_pb2.BrowseRequest(sku="22423"),
    valid_order([SaleLine("22423", 1, 295)], NAME),
    orders_pb2.GetOrderRequest(order_id=NAME),
    orders_pb2.ListOrdersRequest(),
    orders_pb2.CancelOrderRequest(order_id=NAME),
    orders_pb2.ReturnItemsRequest(
        request_id=NAME, lines=[orders_pb2.ReturnLine(sku="22423", quantity=1)]
    ),
    orders_pb2.WatchOrderEventsRequest(),
    orders_pb2.ExportLedgerRequest(),
    shipping_pb2.CreateShipmentRequest(
        request_id=NAME,
        order_id=NAME,
        customer="customer-1",
        country="France",
        lines=[shipping_pb2.ShipmentLine(sku="22423", quantity=1)],
    ),
    shipping_pb2.CancelShipmentRequest(shipment_id=NAME),
    shipping_pb2.GetShipmentRequest(shipment_id=NAME),
    shipping_pb2.ExportLedgerRequest(),
)
REQUESTS = {each.DESCRIPTOR.full_name: each for each in GOOD}


def request_of(method: MethodSpec[Any, Any]) -> Message:
    made: Message = method.request()
    made.CopyFrom(REQUESTS[made.DESCRIPTOR.full_name])
    return made


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shop(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Shop]:
    folder: Path = tmp_path_factory.mktemp("shop")
    names = iter(range(10))
    async with Shop(folder, lambda: f"sqlite:///{folder / str(next(names))}.db") as shop:
        yield shop


async def end_of(
    shop: Shop, method: MethodSpec[Any, Any], request: Message, identity: str, **more: Any
) -> StatusError | CallError | None:
    """How a call fails; None when it is answered."""
    service, client = CLIENTS[method.service]
    call = getattr(client(shop.outside.channel(service, identity=identity)), method.attribute)

    async def each() -> AsyncIterator[Message]:
        yield request

    given = call(each() if method.request_streaming else request, **more)
    try:
        if method.response_streaming:
            async for _ in given:
                pass
        else:
            await given
    except (StatusError, CallError) as error:
        return error
    return None


async def ended(
    shop: Shop, method: MethodSpec[Any, Any], request: Message, identity: str, **more: Any
) -> StatusError | CallError:
    """How a call fails that must."""
    found = await end_of(shop, method, request, identity, **more)
    assert found is not None, f"{method.path} answered {request}"
    return found


def caller(method: MethodSpec[Any, Any]) -> str:
    return MAY[min(method.policy.access.roles)]


def with_user(shop: Shop, method: MethodSpec[Any, Any]) -> dict[str, Any]:
    if method.policy.access.end_user is EndUserRule.NONE:
        return {}
    return {"token": shop.tokens.mint("customer-1", SCOPES)}


FOR_USERS = [
    name for name, each in METHODS.items() if each.policy.access.end_user is EndUserRule.REQUIRED
]


async def test_every_method_is_tried() -> None:
    assert {each.request.DESCRIPTOR.full_name for each in METHODS.values()} == REQUESTS.keys()
    assert len(METHODS) == 25
    assert len(FOR_USERS) == 7
    assert sum(1 for each in METHODS.values() for _ in wrongs(request_of(each))) >= 60


@pytest.mark.parametrize("name", METHODS)
async def test_a_workload_without_the_role_is_refused(shop: Shop, name: str) -> None:
    method = METHODS[name]
    found = await ended(shop, method, request_of(method), "stranger", **with_user(shop, method))
    assert (found.code, found.reason) == (Code.PERMISSION_DENIED, "ROLE_MISSING")
    assert f"(one of: {', '.join(sorted(method.policy.access.roles))})" in found.message


@pytest.mark.parametrize("name", FOR_USERS)
async def test_a_call_of_no_user_of_an_old_token_and_without_a_scope_is_refused(
    shop: Shop, name: str
) -> None:
    method = METHODS[name]
    (missing,) = method.policy.access.scopes
    rest = [scope for scope in SCOPES if scope != missing]
    for token, code, reason, words in (
        ("", Code.UNAUTHENTICATED, "TOKEN_MISSING", "brings no end user's access token"),
        (
            shop.tokens.mint("customer-1", SCOPES, age=TWO_HOURS),
            Code.UNAUTHENTICATED,
            "TOKEN_EXPIRED",
            "the token has expired",
        ),
        (shop.tokens.mint("customer-1", rest), Code.PERMISSION_DENIED, "SCOPE_MISSING", missing),
    ):
        found = await ended(shop, method, request_of(method), caller(method), token=token)
        assert (found.code, found.reason) == (code, reason)
        assert words in found.message


@pytest.mark.parametrize("name", METHODS)
async def test_a_call_whose_time_is_over_is_refused(shop: Shop, name: str) -> None:
    method = METHODS[name]
    more = {**with_user(shop, method), "timeout": 1e-6}
    found = None
    while found is None or found.code is not Code.DEADLINE_EXCEEDED:
        # an answer may be quicker than the timer
        found = await end_of(shop, method, request_of(method), caller(method), **more)
    assert found.reason in {"", "BUDGET_SPENT"}
    assert found.message


@pytest.mark.parametrize(
    "name", [name for name, each in METHODS.items() if [*wrongs(request_of(each))]]
)
async def test_every_rule_of_every_field_is_kept(shop: Shop, name: str) -> None:
    method = METHODS[name]
    more = with_user(shop, method)
    for field, rule, request in wrongs(request_of(method)):
        found = await ended(shop, method, request, caller(method), **more)
        told = (rule, found.code, found.reason, [each.field for each in found.fields][:1])
        assert told == (rule, Code.INVALID_ARGUMENT, "INVALID_REQUEST", [field])
        assert found.message.startswith("Invalid request: "), found.message
        assert found.fields[0].description, rule


async def test_a_page_token_of_another_caller_is_refused(shop: Shop) -> None:
    one, two = (shop.tokens.mint(f"customer-{number}", SCOPES) for number in (21, 22))
    orders = OrderServiceClient(shop.outside.channel("orders"))
    for _ in range(2):
        order = valid_order([SaleLine("85123A", 1, 295)], str(uuid.uuid4()))
        await orders.place_order(order, token=one)
    mine = await orders.list_orders(orders_pb2.ListOrdersRequest(page_size=1), token=one)
    wanted = orders_pb2.ListOrdersRequest(page_size=1, page_token=mine.next_page_token)
    assert len((await orders.list_orders(wanted, token=one)).orders) == 1
    found = [await ended(shop, METHODS["OrderService.ListOrders"], wanted, "storefront", token=two)]
    stock = InventoryServiceClient(shop.outside.channel("inventory", identity="dashboard"))
    page = await stock.list_stock(inventory_pb2.ListStockRequest(page_size=1))
    method = METHODS["InventoryService.ListStock"]
    request = inventory_pb2.ListStockRequest(page_size=1, page_token=page.next_page_token)
    found.append(await ended(shop, method, request, "store"))
    for each in found:
        assert (each.code, each.reason) == (Code.INVALID_ARGUMENT, "INVALID_REQUEST")
        assert [fault.field for fault in each.fields] == ["page_token"]
        assert "begin without it" in each.message


NAMED = (
    "InventoryService.ReserveStock",
    "InventoryService.ReturnStock",
    "OrderService.PlaceOrder",
    "OrderService.ReturnItems",
    "ShippingService.CreateShipment",
)


@pytest.mark.parametrize("name", NAMED)
async def test_a_request_id_that_comes_again_with_other_content_is_refused(
    shop: Shop, name: str
) -> None:
    method = METHODS[name]
    service, client = CLIENTS[method.service]
    as_, more, request_id = caller(method), with_user(shop, method), str(uuid.uuid4())
    first: Any = request_of(method)
    first.request_id = request_id
    second: Any = request_of(method)
    second.request_id = request_id
    second.lines[0].quantity = 2
    if name == "ShippingService.CreateShipment":
        first.order_id = second.order_id = request_id
        stock = InventoryServiceClient(shop.outside.channel("inventory", identity="orders"))
        await stock.reserve_stock(
            inventory_pb2.ReserveStockRequest(request_id=first.order_id, lines=[ITEM])
        )
    call = getattr(client(shop.outside.channel(service, identity=as_)), method.attribute)
    await call(first, **more)
    found = await ended(shop, method, second, as_, **more)
    assert (found.code, found.reason) == (Code.ALREADY_EXISTS, "REQUEST_REUSED")
    assert found.message == (
        f"The request_id {request_id} was used before with other content; take a new one."
    )
