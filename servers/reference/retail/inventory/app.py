"""Sets the warehouse up: its database, the opening stock, its service."""

from __future__ import annotations

import logging
from pathlib import Path

from meshpact.servers.context import ServiceContext
from meshpact.servers.paging import PageTokens
from meshpact.servers.storage.database import Database
from meshpact.servers.storage.opening import open_database
from reference.retail.inventory.ledger import Ledger
from reference.retail.inventory.service import InventoryService

MIGRATIONS = Path(__file__).parent / "migrations"
log = logging.getLogger(__name__)


async def create(context: ServiceContext) -> list[InventoryService]:
    """The factory that mesh.yaml names; ready when it returns."""
    database = await open_database(context, MIGRATIONS)
    return [InventoryService(await stocked(database), PageTokens(context.secret("pages")))]


async def stocked(database: Database) -> Ledger:
    """The ledger in a database; opened with the stock of the order book if it is new."""
    ledger = Ledger(database)
    if not await ledger.is_open():
        from reference.retail.dataset import rows, stock
        from reference.retail.dataset.books import keep

        opening = stock.opening(keep(rows.read()).sales)
        await ledger.open(opening)
        log.info("opened the ledger: %d SKUs, %d items", len(opening), sum(opening.values()))
    return ledger
