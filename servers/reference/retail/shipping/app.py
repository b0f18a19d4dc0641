"""Sets shipping up: its database, and the way to the warehouse."""

from __future__ import annotations

from pathlib import Path

from acme.retail.inventory.v1.inventory_mesh import INVENTORY_SERVICE, InventoryServiceClient
from meshpact.servers.context import ServiceContext
from reference.retail.shipping.parcels import Parcels
from reference.retail.shipping.service import Inventory, ShippingService
from reference.retail.storage.database import Database
from reference.retail.storage.migrate import migrate

MIGRATIONS = Path(__file__).parent / "migrations"


async def create(context: ServiceContext) -> list[ShippingService]:
    """The factory that mesh.yaml names; ready when it returns."""
    database = Database(context.storage)
    context.on_close(database.close)
    await migrate(database, MIGRATIONS)
    inventory = InventoryServiceClient(context.channel("inventory", services=[INVENTORY_SERVICE]))
    return [ShippingService(Parcels(database, Inventory(inventory)))]
