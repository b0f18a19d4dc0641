"""The supplier's lorry, and the dashboard that watches the stock."""

from __future__ import annotations

import asyncio
import itertools
import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Final

from acme.retail.inventory.v1 import inventory_pb2 as pb
from acme.retail.inventory.v1.inventory_mesh import INVENTORY_SERVICE, InventoryServiceClient
from meshpact.clients import CallError
from meshpact.interceptors.errors import Code
from meshpact.servers.context import ServiceContext
from reference.retail.driver.stats import Stats

ROWS_AT_ONCE: Final = 500
WATCHED: Final = 20
PAUSE: Final = 1.0
"""Seconds before a watch that ended is begun again."""
ENDS: Final = frozenset({Code.DEADLINE_EXCEEDED, Code.UNAVAILABLE, Code.CANCELLED})
"""How a watch may end: its time is over, or its connection's."""


class Supplier:
    """Delivers goods; `names` are what they are called, by SKU. `patience` as Storefront has it."""

    def __init__(
        self,
        context: ServiceContext,
        stats: Stats,
        names: Mapping[str, str] | None = None,
        *,
        patience: float = 0.0,
    ) -> None:
        self._patience = patience
        self._stats = stats
        self._names = names or {}
        self._inventory = InventoryServiceClient(
            context.channel("inventory", services=[INVENTORY_SERVICE], identity="supplier")
        )

    async def deliver(self, goods: Mapping[str, int], request: uuid.UUID) -> None:
        """Sends the list of what a lorry brings, part by part."""
        rows = [
            pb.StockImportRow(
                line=line, sku=sku, description=self._names.get(sku) or sku, quantity=items
            )
            for line, (sku, items) in enumerate(goods.items(), 1)
        ]

        async def parts() -> AsyncIterator[pb.ImportStockRequest]:
            for start in range(0, len(rows), ROWS_AT_ONCE):
                yield pb.ImportStockRequest(
                    request_id=str(request),
                    kind=pb.STOCK_IMPORT_KIND_DELIVERY,
                    rows=rows[start : start + ROWS_AT_ONCE],
                )

        answer = await self._answered(parts)
        self._stats.outcomes["delivered_items"] += answer.items
        if answer.rows_booked + answer.rows_known != len(rows):
            self._stats.unexpected(f"{answer.rows_rejected} of {len(rows)} rows were not booked")

    async def _answered(
        self, parts: Callable[[], AsyncIterator[pb.ImportStockRequest]]
    ) -> pb.ImportStockResponse:
        """Sends the whole list again while no answer comes: what is booked stays booked once."""
        loop = asyncio.get_running_loop()
        end = loop.time() + self._patience
        while True:
            self._stats.calls += 1
            try:
                return await self._inventory.import_stock(parts())
            except CallError as error:
                if error.code not in ENDS or loop.time() >= end:
                    raise
            await asyncio.sleep(PAUSE)


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
        revision = 0
        while True:
            self._stats.calls += 1
            try:
                request = pb.WatchStockRequest(skus=skus, after_revision=revision)
                async for changed in self._inventory.watch_stock(request):
                    self._stats.outcomes["stock_updates"] += len(changed.stocks)
                    revision = changed.revision
            except CallError as error:
                if error.code not in ENDS:
                    self._stats.unexpected(f"watching stock: {error}")
            await asyncio.sleep(PAUSE)
