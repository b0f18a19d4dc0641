"""Sets the shop window up: its database, the catalog, the way to the warehouse."""

from __future__ import annotations

import logging
from pathlib import Path

from acme.retail.inventory.v1.inventory_mesh import INVENTORY_SERVICE, InventoryServiceClient
from meshpact.servers.context import ServiceContext
from meshpact.servers.paging import PageTokens
from meshpact.servers.storage.database import Database
from meshpact.servers.storage.opening import open_database
from reference.retail.store.catalog import Catalog, Product, fill, load
from reference.retail.store.service import StoreService
from reference.retail.store.shelf import PAUSE, PAUSE_AT_MOST, Shelf

MIGRATIONS = Path(__file__).parent / "migrations"
HEALTH = "acme.retail.store.stock"
"""The name under which health tells whether the warehouse is heard (grpc.health.v1)."""
CURRENCY = "GBP"
PATIENCE = 10.0
"""Seconds to wait for the warehouse, which starts at the same time."""
log = logging.getLogger(__name__)


async def create(context: ServiceContext) -> list[StoreService]:
    """The factory that mesh.yaml names; ready when it returns."""
    database = await open_database(context, MIGRATIONS)
    inventory = InventoryServiceClient(context.channel("inventory", services=[INVENTORY_SERVICE]))
    shelf = Shelf(inventory)
    # At once: the shelf is filled before the shop opens.
    context.background(
        "stock of the warehouse",
        shelf.follow,
        every=PAUSE,
        pause=PAUSE,
        pause_at_most=PAUSE_AT_MOST,
        health=HEALTH,
    ).start()
    catalog = await filled(database)
    # Whoever comes first would be told that nobody knows what is left.
    if not await shelf.heard(PATIENCE):
        log.warning("opened without a word of the warehouse: no stock is shown until it is heard")
    return [StoreService(catalog, shelf, PageTokens(context.secret("pages")))]


async def filled(database: Database) -> Catalog:
    """The catalog in a database; made from the order book if it is new."""
    catalog = await load(database)
    if len(catalog):
        return catalog
    from reference.retail.dataset import rows
    from reference.retail.dataset.books import keep
    from reference.retail.dataset.catalog import catalog as entries

    found = [Product(*entry, CURRENCY) for entry in entries(keep(rows.read()))]
    await fill(database, found)
    log.info("filled the catalog: %d products", len(found))
    return Catalog(found)
