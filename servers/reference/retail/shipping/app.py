"""Sets shipping up: its database, and the way to the warehouse."""

from __future__ import annotations

from pathlib import Path

from acme.retail.inventory.v1.inventory_mesh import INVENTORY_SERVICE, InventoryServiceClient
from meshpact.servers.context import ServiceContext
from meshpact.servers.storage.opening import open_database
from reference.retail.shipping.parcels import Parcels
from reference.retail.shipping.service import Inventory, ShippingService

MIGRATIONS = Path(__file__).parent / "migrations"


async def create(context: ServiceContext) -> list[ShippingService]:
    """The factory that mesh.yaml names; ready when it returns."""
    database = await open_database(context, MIGRATIONS)
    inventory = InventoryServiceClient(context.channel("inventory", services=[INVENTORY_SERVICE]))
    return [ShippingService(Parcels(database, Inventory(inventory)))]
