"""Sets orders up: their database, the ways to warehouse and carrier, the finisher."""

from __future__ import annotations

from pathlib import Path

from acme.retail.inventory.v1.inventory_mesh import INVENTORY_SERVICE, InventoryServiceClient
from acme.retail.shipping.v1.shipping_mesh import SHIPPING_SERVICE, ShippingServiceClient
from meshpact.servers.context import ServiceContext
from meshpact.servers.paging import PageTokens
from meshpact.servers.storage.opening import open_database
from meshpact.servers.storage.retention import retention_of
from reference.retail.orders.book import OrderBook
from reference.retail.orders.finisher import Finisher
from reference.retail.orders.partners import Inventory, Shipping
from reference.retail.orders.returns import Returns
from reference.retail.orders.saga import Saga
from reference.retail.orders.service import OrderService

MIGRATIONS = Path(__file__).parent / "migrations"


async def create(context: ServiceContext) -> list[OrderService]:
    """The factory that mesh.yaml names; ready when it returns."""
    database = await open_database(context, MIGRATIONS)
    inventory = context.channel("inventory", services=[INVENTORY_SERVICE])
    shipping = Shipping(
        ShippingServiceClient(context.channel("shipping", services=[SHIPPING_SERVICE]))
    )
    saga = Saga(
        OrderBook(database),
        Returns(database),
        Inventory(InventoryServiceClient(inventory)),
        shipping,
    )
    finisher = Finisher(saga)
    context.background("finisher", finisher.run)
    retention = retention_of(context, database)
    retention.outbox(saga.book.events.outbox, keep=context.config.databases.keep_events)
    retention.begin(context)
    return [OrderService(saga, finisher, shipping, PageTokens(context.secret("pages")))]
