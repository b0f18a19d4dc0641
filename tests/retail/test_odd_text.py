"""Text that Postgres does not take: it is refused as the caller's mistake, or told with its row."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from acme.retail.inventory.v1 import inventory_pb2
from acme.retail.inventory.v1.inventory_mesh import InventoryServiceClient
from acme.retail.orders.v1 import orders_pb2
from acme.retail.orders.v1.orders_mesh import OrderServiceClient
from acme.retail.shipping.v1 import shipping_pb2
from acme.retail.shipping.v1.shipping_mesh import ShippingServiceClient
from meshpact.clients import CallError
from meshpact.interceptors.errors import Code
from reference.retail.dataset.books import SaleLine
from reference.retail.driver.storefront import valid_order
from reference.retail.driver.tokens import SCOPES
from retailshop import NewUrl, Shop

NUL = "a\0b"


@pytest.fixture
async def shop(tmp_path: Path, postgres: NewUrl) -> AsyncIterator[Shop]:
    async with Shop(tmp_path, postgres) as shop:
        yield shop


async def test_a_zero_character_is_refused_or_told_with_its_row(shop: Shop) -> None:
    orders = OrderServiceClient(shop.outside.channel("orders"))
    shipping = ShippingServiceClient(shop.outside.channel("shipping", identity="orders"))
    token = shop.tokens.mint("customer-1", SCOPES)
    country, charge = (
        valid_order([SaleLine("22423", 1, 295)], str(uuid.uuid4())) for _ in range(2)
    )
    country.country = NUL
    charge.charges.append(orders_pb2.Charge(code=NUL, amount=charge.lines[0].unit_price))
    parcel = shipping_pb2.CreateShipmentRequest(
        request_id=str(uuid.uuid4()),
        order_id=str(uuid.uuid4()),
        customer=NUL,
        country="France",
        lines=[shipping_pb2.ShipmentLine(sku="22423", quantity=1)],
    )
    abroad = shipping_pb2.CreateShipmentRequest()
    abroad.CopyFrom(parcel)
    abroad.customer, abroad.country = "customer-1", NUL
    for attempt, fields, words in (
        (orders.place_order(country, token=token), ["country"], "pattern"),
        (orders.place_order(charge, token=token), ["charges[0].code"], "pattern"),
        (shipping.create_shipment(parcel), ["customer"], "must not contain a zero character"),
        (shipping.create_shipment(abroad), ["country"], "must not contain a zero character"),
    ):
        with pytest.raises(CallError) as caught:
            await attempt
        told = caught.value
        assert (told.code, told.reason) == (Code.INVALID_ARGUMENT, "INVALID_REQUEST")
        assert [fault.field for fault in told.fields] == fields
        assert words in told.message

    async def rows() -> AsyncIterator[inventory_pb2.ImportStockRequest]:
        yield inventory_pb2.ImportStockRequest(
            request_id=str(uuid.uuid4()),
            kind=inventory_pb2.STOCK_IMPORT_KIND_DELIVERY,
            rows=[
                inventory_pb2.StockImportRow(line=1, sku=NUL, description="A", quantity=1),
                inventory_pb2.StockImportRow(line=2, sku="22423", description=NUL, quantity=1),
                inventory_pb2.StockImportRow(
                    line=3, sku="22423", description="A", quantity=-(2**63)
                ),
            ],
        )

    supplier = InventoryServiceClient(shop.outside.channel("inventory", identity="supplier"))
    report = await supplier.import_stock(rows())
    assert (report.rows_booked, report.rows_rejected) == (1, 2)
    assert [(row.line, row.field) for row in report.rejected] == [(1, "sku"), (3, "quantity")]
