"""Subscribers that begin to read and then never read on: nobody else notices them."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from acme.retail.inventory.v1 import inventory_pb2
from acme.retail.inventory.v1.inventory_mesh import InventoryServiceClient
from acme.retail.orders.v1 import orders_pb2
from acme.retail.orders.v1.orders_mesh import OrderServiceClient
from reference.retail.dataset.books import SaleLine
from reference.retail.driver.storefront import valid_order
from reference.retail.driver.tokens import SCOPES
from retailshop import OPENING, Shop

SILENT = 10
ORDERS = 40
LINES = 100
"""Lines of an order: the events of all orders are more than a connection holds unread."""
SKU = "23084"


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Shop]:
    names = iter(range(10))
    async with Shop(tmp_path, lambda: f"sqlite:///{tmp_path / str(next(names))}.db") as shop:
        yield shop


async def test_subscribers_that_never_read_hold_up_nobody_and_miss_nothing(shop: Shop) -> None:
    events = OrderServiceClient(shop.outside.channel("orders", identity="sales"))
    stock = InventoryServiceClient(shop.outside.channel("inventory", identity="dashboard"))
    orders = OrderServiceClient(shop.outside.channel("orders"))
    token = shop.tokens.mint("customer-1", SCOPES)

    async def place() -> None:
        request = valid_order([SaleLine(SKU, 1, 295)] * LINES, str(uuid.uuid4()))
        await orders.place_order(request, token=token)

    await place()
    wanted = orders_pb2.WatchOrderEventsRequest()
    silent = [events.watch_order_events(wanted) for _ in range(SILENT)]
    first = [(await anext(each)).events[-1].revision for each in silent]
    levels = [stock.watch_stock(inventory_pb2.WatchStockRequest(skus=[SKU])) for _ in range(SILENT)]
    for level in levels:
        await anext(level)
    async with asyncio.timeout(60):
        for _ in range(ORDERS // 8):
            await asyncio.gather(*(place() for _ in range(8)))
        assert await read(events.watch_order_events(wanted), 0, 2 * (ORDERS + 1)) == [
            *range(1, 2 * (ORDERS + 1) + 1)
        ]
        for each, seen in zip(silent, first, strict=True):
            told = await read(each, seen, 2 * (ORDERS + 1))
            assert told == [*range(seen + 1, 2 * (ORDERS + 1) + 1)]
        for level in levels:
            left = OPENING[SKU] - LINES * (ORDERS + 1)
            while (found := (await anext(level)).stocks) == [] or found[0].on_hand != left:
                pass


async def read(
    watch: AsyncIterator[orders_pb2.WatchOrderEventsResponse], seen: int, until: int
) -> list[int]:
    """The revisions that a watch tells, up to one."""
    revisions: list[int] = []
    while (revisions[-1] if revisions else seen) < until:
        revisions += [event.revision for event in (await anext(watch)).events]
    return revisions
