"""Runs the driver: customers, supplier, dashboard and misfits at once, the audit at the end."""

from __future__ import annotations

import asyncio
import itertools
import logging
from typing import Final

from meshpact.interceptors.errors import MeshpactError
from meshpact.servers.context import ServiceContext
from reference.retail.dataset import rows, stock
from reference.retail.dataset.books import Books, keep
from reference.retail.dataset.catalog import catalog
from reference.retail.driver.audit import PATIENCE as AUDIT_PATIENCE
from reference.retail.driver.audit import Audit
from reference.retail.driver.misfits import Misfits
from reference.retail.driver.replay import BRISK, EASY, FULL_SPEED, Pace, Replay
from reference.retail.driver.stats import Stats
from reference.retail.driver.storefront import Storefront
from reference.retail.driver.supply import Dashboard, Supplier
from reference.retail.driver.tokens import Tokens

PATIENCE: Final = 60.0
"""Seconds that patient customers ask again when nobody answers."""
SETTLING: Final = 15.0
"""Seconds that orders get to come to their end after services were killed."""
MISFIT_PERIOD: Final = 0.25
"""Seconds between misfits."""
REPORT_PERIOD: Final = 0.5
FAULTS_LOGGED: Final = 20
log = logging.getLogger(__name__)


async def run(context: ServiceContext, until: asyncio.Event) -> None:
    """The driver that mesh.yaml names: replays the month until told to stop, then audits."""
    await Drive(context).run(until)


async def full_speed(context: ServiceContext, until: asyncio.Event) -> None:
    """A driver that orders and returns as fast as the shop takes it, and does nothing else."""
    await Drive(context, pace=FULL_SPEED, customers_only=True).run(until)


async def patient(context: ServiceContext, until: asyncio.Event) -> None:
    """A driver whose customers and supplier ask until they are answered: services may be killed.

    The books are compared once, at the end.
    """
    drive = Drive(context, pace=BRISK, customers_only=True, patience=PATIENCE)
    await drive.run(until)


class Drive:
    """One run of the driver; `stats` can be read at any moment.

    `customers_only`: nobody browses, looks after an order, watches or misbehaves. `patience` is for
    how many seconds customers and supplier ask again when services do not answer at all.
    """

    def __init__(
        self,
        context: ServiceContext,
        books: Books | None = None,
        *,
        pace: Pace = EASY,
        customers_only: bool = False,
        patience: float = 0.0,
    ) -> None:
        self.stats = Stats()
        self._patience = patience
        self._pace = pace
        self._customers_only = customers_only
        self._context = context
        self._books = books or keep(rows.read())
        tokens = Tokens.of(context)
        self._storefront = Storefront(
            context, self.stats, tokens, orders_only=customers_only, patience=patience
        )
        names = {entry.sku: entry.description for entry in catalog(self._books)}
        self._supplier = Supplier(context, self.stats, names, patience=patience)
        self._dashboard = Dashboard(context, self.stats)
        self._misfits = Misfits(context, self.stats, tokens)
        self._audit = Audit.of(context)

    async def run(self, until: asyncio.Event) -> None:
        """Replays until `until` is set, finishes what is under way, audits, and reports."""
        replay = Replay(self._books, self._storefront, self._supplier, self.stats, pace=self._pace)
        untouched = await self._dashboard.untouched()
        beside = [asyncio.create_task(self._report())]
        if not self._customers_only:
            goods = stock.delivery(self._books.sales[:1])
            beside.append(asyncio.create_task(self._misfit()))
            beside.append(asyncio.create_task(self._dashboard.watch(goods)))
        try:
            await replay.run(until, self._between_rounds, deliver=not untouched)
        finally:
            for task in beside:
                task.cancel()
            for end in await asyncio.gather(*beside, return_exceptions=True):
                if isinstance(end, Exception):
                    self.stats.unexpected(f"{type(end).__name__}: {end}")
        await self.audit()

    async def _between_rounds(self) -> None:
        """Audits after rounds 1, 2, 4, 8...: the books grow, and so does the work."""
        if self.stats.rounds.bit_count() == 1 and not self._patience:
            await self.audit()

    async def audit(self) -> None:
        """Compares the services' books and reports whether they agree."""
        try:
            patience = SETTLING if self._patience else AUDIT_PATIENCE
            faults = await self._audit.faults(patience)
        except MeshpactError as error:
            self.stats.unexpected(f"audit: {error}")
            faults = ["the audit could not be made"]
        for fault in faults[:FAULTS_LOGGED]:
            log.error("ledger: %s", fault)
        self.stats.ledger_balanced = not faults
        self.stats.ledger = {**self._audit.totals, "faults": len(faults)}
        self._context.report(self.stats.figures())

    async def _report(self) -> None:
        while True:
            self._context.report(self.stats.figures())
            await asyncio.sleep(REPORT_PERIOD)

    async def _misfit(self) -> None:
        for misfit in itertools.cycle(self._misfits.all):
            await self._misfits.run(misfit)
            await asyncio.sleep(MISFIT_PERIOD)
