"""Whether the books of three services agree, SKU by SKU.

Each service recounts its own bookings. The warehouse must balance by itself; what it says was
reserved, shipped and sent back must be what orders says; what it says was shipped must be what
shipping says.
"""

from __future__ import annotations

import asyncio
from typing import Final

from acme.retail.inventory.v1 import inventory_pb2
from acme.retail.inventory.v1.inventory_mesh import InventoryServiceClient
from acme.retail.orders.v1 import orders_pb2
from acme.retail.orders.v1.orders_mesh import OrderServiceClient
from acme.retail.shipping.v1 import shipping_pb2
from acme.retail.shipping.v1.shipping_mesh import ShippingServiceClient
from meshpact.servers.context import ServiceContext

PATIENCE: Final = 5.0
"""Seconds that unfinished orders get to come to an end."""
PAUSE: Final = 0.2
COUNTS: Final = (
    "opening",
    "delivered",
    "returned",
    "adjusted",
    "on_hand",
    "reserved",
    "shipped",
)


class Audit:
    """The auditor's view of the mesh. Audit when no order is on its way.

    `totals` are the warehouse's counts over all SKUs, as it last exported them.
    """

    def __init__(
        self,
        inventory: InventoryServiceClient,
        orders: OrderServiceClient,
        shipping: ShippingServiceClient,
    ) -> None:
        self._inventory = inventory
        self._orders = orders
        self._shipping = shipping
        self.totals: dict[str, int] = {}

    @classmethod
    def of(cls, context: ServiceContext) -> Audit:
        """The auditor of a mesh."""
        return cls(
            InventoryServiceClient(context.channel("inventory", identity="auditor")),
            OrderServiceClient(context.channel("orders", identity="auditor")),
            ShippingServiceClient(context.channel("shipping", identity="auditor")),
        )

    async def faults(self, patience: float = PATIENCE) -> list[str]:
        """What does not agree, one sentence each; empty when the ledger is balanced.

        Looks again for `patience` seconds as long as anything is amiss or unfinished.
        """
        loop = asyncio.get_running_loop()
        end = loop.time() + patience
        while True:
            found = await self._compare()
            if not found or loop.time() >= end:
                return found
            await asyncio.sleep(PAUSE)

    async def _compare(self) -> list[str]:
        found: list[str] = []
        stock: dict[str, inventory_pb2.LedgerEntry] = {}
        async for held in self._inventory.export_ledger(inventory_pb2.ExportLedgerRequest()):
            stock.update((entry.sku, entry) for entry in held.entries)
        self.totals = {
            "skus": len(stock),
            **{name: sum(getattr(entry, name) for entry in stock.values()) for name in COUNTS},
        }
        ordered: dict[str, orders_pb2.LedgerEntry] = {}
        open_orders = open_parcels = 0
        async for part in self._orders.export_ledger(orders_pb2.ExportLedgerRequest()):
            ordered.update((entry.sku, entry) for entry in part.entries)
            open_orders = part.unfinished
        parcels: dict[str, shipping_pb2.LedgerEntry] = {}
        async for sent in self._shipping.export_ledger(shipping_pb2.ExportLedgerRequest()):
            parcels.update((entry.sku, entry) for entry in sent.entries)
            open_parcels = sent.unfinished
        if open_orders:
            found.append(f"orders: {open_orders} orders or returns are not finished")
        if open_parcels:
            found.append(f"shipping: {open_parcels} shipments are not finished")
        if not stock:
            found.append("inventory: the ledger is empty")
        found.extend(_unbalanced(stock))
        for sku in sorted({*ordered, *parcels} - set(stock)):
            if ordered.get(sku, orders_pb2.LedgerEntry()).shipped or sku in parcels:
                found.append(f"{sku}: sold, and not in the warehouse's ledger")
        none_ordered, none_sent = orders_pb2.LedgerEntry(), shipping_pb2.LedgerEntry()
        for sku, entry in stock.items():
            order, parcel = ordered.get(sku, none_ordered), parcels.get(sku, none_sent)
            found.extend(
                f"{sku}: {what}: inventory says {ours}, {who} says {theirs}"
                for what, ours, who, theirs in (
                    ("shipped", entry.shipped, "orders", order.shipped),
                    ("reserved", entry.reserved, "orders", order.reserved),
                    ("returned", entry.returned, "orders", order.returned),
                    ("shipped", entry.shipped, "shipping", parcel.shipped),
                )
                if ours != theirs
            )
        return found


def _unbalanced(stock: dict[str, inventory_pb2.LedgerEntry]) -> list[str]:
    found: list[str] = []
    for sku, entry in stock.items():
        came = entry.opening + entry.delivered + entry.returned + entry.adjusted
        there = entry.on_hand + entry.reserved + entry.shipped
        if came != there:
            found.append(f"{sku}: {came} came in, {there} are on hand, reserved or shipped")
        if (entry.reserved, entry.shipped) != (entry.reserved_count, entry.shipped_count):
            found.append(f"{sku}: the running counts differ from the bookings")
    return found
