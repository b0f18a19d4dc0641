"""How soon both shop windows show a change of the stock, while the real orders are replayed.

The time runs from before the change is sent to when the second window, dialled by its own address,
tells a level that includes the change.
"""

from __future__ import annotations

import asyncio
import random
import time
import uuid
from collections.abc import AsyncIterator
from typing import Final, NamedTuple

from acme.retail.inventory.v1 import inventory_pb2
from acme.retail.inventory.v1.inventory_mesh import InventoryServiceClient
from acme.retail.store.v1 import store_pb2
from acme.retail.store.v1.store_mesh import StoreServiceClient
from claims import NotMeasured
from meshpact.mesh.config import load
from meshpact.mesh.local import at_state
from meshpact.servers.context import ServiceContext
from reference.retail.dataset import rows, stock
from reference.retail.dataset.books import keep
from shop.running import Running

WINDOWS: Final = ("store", "store-2")
PAUSES: Final = (0.05, 0.35)
"""Seconds between two changes: spread over the moments at which windows are told of them."""
LOOK: Final = 0.02
"""Seconds between two looks at a window."""
PATIENCE: Final = 10.0


class Freshness(NamedTuple):
    """Seconds from change to the second window, sorted; orders that were placed meanwhile."""

    seconds: list[float]
    orders: int

    def quantile(self, part: float) -> float:
        """The time that `part` of all changes do not exceed."""
        return self.seconds[min(int(len(self.seconds) * part), len(self.seconds) - 1)]


def measure(changes: int) -> Freshness:
    """Makes so many changes, one after the other."""
    with Running("run") as mesh:
        mesh.until("ready after")
        mesh.until(" orders")
        seconds = asyncio.run(_changes(mesh, changes))
        report = mesh.end()
    return Freshness(sorted(seconds), report["orders_placed"])


async def _changes(mesh: Running, changes: int) -> list[float]:
    path = mesh.home / "mesh.yaml"
    running = mesh.state.read_running()
    if running is None:
        raise NotMeasured("the mesh does not say where it runs")
    context = ServiceContext(
        config=at_state(load(path), path, mesh.state),
        service="storefront",
        state=mesh.state,
        root=mesh.home,
        addresses={name: found[0].address for name, found in running.services.items() if found},
        report=lambda figures: None,
    )
    warehouse = InventoryServiceClient(context.channel("inventory", identity="supplier"))
    windows = [StoreServiceClient(context.channel(name)) for name in WINDOWS]
    skus = sorted(stock.sold(keep(rows.read()).sales))
    chance = random.Random(1)
    try:
        return [
            await _change(warehouse, windows, chance.choice(skus), chance) for _ in range(changes)
        ]
    finally:
        await context.aclose()


async def _change(
    warehouse: InventoryServiceClient,
    windows: list[StoreServiceClient],
    sku: str,
    chance: random.Random,
) -> float:
    async def delivery() -> AsyncIterator[inventory_pb2.ImportStockRequest]:
        row = inventory_pb2.StockImportRow(line=1, sku=sku, description="one more", quantity=1)
        yield inventory_pb2.ImportStockRequest(
            request_id=str(uuid.uuid4()),
            kind=inventory_pb2.STOCK_IMPORT_KIND_DELIVERY,
            rows=[row],
        )

    await asyncio.sleep(chance.uniform(*PAUSES))
    begun = time.perf_counter()
    revision = (await warehouse.import_stock(delivery())).revision
    try:
        async with asyncio.timeout(PATIENCE):
            await asyncio.gather(*(_shown(window, sku, revision) for window in windows))
    except TimeoutError:
        return PATIENCE
    return time.perf_counter() - begun


async def _shown(window: StoreServiceClient, sku: str, revision: int) -> None:
    request = store_pb2.GetProductRequest(sku=sku)
    while True:
        shown = (await window.get_product(request)).product.stock_revision
        if shown >= revision:
            break
        await asyncio.sleep(LOOK)
