"""The supplier's lorry, and the dashboard that watches the stock."""

from __future__ import annotations

import asyncio
import itertools
import uuid
from collections.abc import AsyncIterator, Mapping
from typing import Final

from acme.retail.inventory.v1 import inventory_pb2 as pb
from acme.retail.inventory.v1.inventory_mesh import INVENTORY_SERVICE, InventoryServiceClient
from meshpact.clients import CallError
from meshpact.interceptors.errors import Code
from meshpact.servers.context import ServiceContext
from reference.retail.driver.stats import Stats

LINES_PER_PALLET: Final = 500
WATCHED: Final = 20
PAUSE: Final = 1.0
"""Seconds before a watch that ended is begun again."""
ENDS: Final = frozenset({Code.DEADLINE_EXCEEDED, Code.UNAVAILABLE, Code.CANCELLED})
"""How a watch may end: its time is over, or its connection's."""


class Supplier:
    """Delivers goods."""

    def __init__(self, context: ServiceContext, stats: Stats) -> None:
        self._stats = stats
        self._inventory = InventoryServiceClient(
            context.channel("inventory", services=[INVENTORY_SERVICE], identity="supplier")
        )

    async def deliver(self, goods: Mapping[str, int], request: uuid.UUID) -> None:
        """Unloads a lorry, pallet by pallet."""
        lines = [pb.StockLine(sku=sku, quantity=items) for sku, items in goods.items()]
        starts = range(0, len(lines), LINES_PER_PALLET)

        async def pallets() -> AsyncIterator[pb.ReceiveDeliveriesRequest]:
            for start in starts:
                yield pb.ReceiveDeliveriesRequest(
                    request_id=str(uuid.uuid5(request, f"pallet {start}")),
                    lines=lines[start : start + LINES_PER_PALLET],
                )

        self._stats.calls += 1
        answer = await self._inventory.receive_deliveries(pallets())
        self._stats.outcomes["delivered_items"] += answer.items
        if answer.pallets + answer.pallets_known != len(starts):
            self._stats.unexpected(f"{len(starts)} pallets were delivered, {answer.pallets} booked")


class Dashboard:
    """Looks at the stock."""

    def __init__(self, context: ServiceContext, stats: Stats) -> None:
        self._stats = stats
        self._inventory = InventoryServiceClient(
            context.channel("inventory", services=[INVENTORY_SERVICE], identity="dashboard")
        )

    async def untouched(self) -> bool:
        """Whether nothing has left the warehouse yet."""
        token = ""
        while True:
            self._stats.calls += 1
            page = await self._inventory.list_stock(
                pb.ListStockRequest(page_size=1000, page_token=token)
            )
            if any(stock.shipped or stock.reserved for stock in page.stocks):
                return False
            token = page.next_page_token
            if not token:
                return True

    async def watch(self, goods: Mapping[str, int]) -> None:
        """Watches the stock of some goods until it is cancelled."""
        skus = list(itertools.islice(goods, WATCHED))
        while True:
            self._stats.calls += 1
            try:
                async for _ in self._inventory.watch_stock(pb.WatchStockRequest(skus=skus)):
                    self._stats.outcomes["stock_updates"] += 1
            except CallError as error:
                if error.code not in ENDS:
                    self._stats.unexpected(f"watching stock: {error}")
            await asyncio.sleep(PAUSE)
