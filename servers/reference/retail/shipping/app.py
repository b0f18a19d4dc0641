"""Sets shipping up: its database, and the way to the warehouse."""

from __future__ import annotations

from pathlib import Path

from acme.retail.inventory.v1.inventory_mesh import INVENTORY_SERVICE, InventoryServiceClient
from meshpact.servers.context import ServiceContext
from meshpact.servers.storage.database import Database
from meshpact.servers.storage.migrate import migrate
from reference.retail.shipping.parcels import Parcels
from reference.retail.shipping.service import Inventory, ShippingService

MIGRATIONS = Path(__file__).parent / "migrations"


async def create(context: ServiceContext) -> list[ShippingService]:
    """The factory that mesh.yaml names; ready when it returns."""
    database = Database(context.storage, schema=context.service)
    context.on_close(database.close)
    await migrate(database, MIGRATIONS)
    inventory = InventoryServiceClient(context.channel("inventory", services=[INVENTORY_SERVICE]))
    return [ShippingService(Parcels(database, Inventory(inventory)))]
