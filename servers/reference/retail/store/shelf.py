"""The shelf: what the warehouse has on hand of everything, followed as it changes.

A replica holds it in memory and is told of each change, so that a look costs no call. While the
warehouse is not heard, nothing is shown from here: what is held may be old.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Iterable
from typing import Final

from acme.retail.inventory.v1 import inventory_pb2 as pb
from acme.retail.inventory.v1.inventory_mesh import InventoryServiceClient, RevisionUnknown
from meshpact.clients import CallError
from meshpact.interceptors.errors import Code
from meshpact.servers.background import goes_well

SILENCE: Final = 3.0
"""Seconds without a word of the warehouse after which the shelf is old; it speaks every second."""
LONG: Final = 3600.0
"""Seconds that one watch lasts at most, as the contract has it."""
PAUSE: Final = 0.1
"""Seconds before a broken watch is begun again; each further pause is twice as long."""
PAUSE_AT_MOST: Final = 1.0
SKUS_AT_ONCE: Final = 200
log = logging.getLogger(__name__)


class Shelf:
    """Items on hand by SKU, up to `revision` of the warehouse's ledger."""

    def __init__(self, inventory: InventoryServiceClient) -> None:
        self._inventory = inventory
        self._on_hand: dict[str, int] = {}
        self._heard = float("-inf")
        self._first = asyncio.Event()
        self.revision = 0

    async def heard(self, at_most: float) -> bool:
        """Returns once the warehouse was heard; False when it was not within so many seconds."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._first.wait(), at_most)
        return self._first.is_set()

    @property
    def fresh(self) -> bool:
        """Whether the warehouse was heard just now."""
        return asyncio.get_running_loop().time() - self._heard < SILENCE

    def on_hand(self, sku: str) -> int:
        """Items of a SKU that can be sold, as far as was heard."""
        return self._on_hand.get(sku, 0)

    async def ask(self, skus: Iterable[str]) -> dict[str, int]:
        """Items by SKU, from the shelf, or from the warehouse itself while the shelf is old.

        Raises CallError when the warehouse does not answer either.
        """
        wanted = list(skus)
        if self.fresh:
            return {sku: self.on_hand(sku) for sku in wanted}
        found = dict.fromkeys(wanted, 0)
        for start in range(0, len(wanted), SKUS_AT_ONCE):
            request = pb.BatchGetStockRequest(skus=wanted[start : start + SKUS_AT_ONCE])
            answer = await self._inventory.batch_get_stock(request)
            found.update((stock.sku, stock.on_hand) for stock in answer.stocks)
        return found

    async def follow(self) -> None:
        """Follows the warehouse for as long as one watch lasts. Raises what ended it."""
        request = pb.WatchStockRequest(after_revision=self.revision, on_hand_only=True)
        loop = asyncio.get_running_loop()
        try:
            async for changed in self._inventory.watch_stock(request, timeout=LONG):
                self._on_hand.update((stock.sku, stock.on_hand) for stock in changed.stocks)
                self.revision = changed.revision
                self._heard = loop.time()
                self._first.set()
                goes_well()
        except RevisionUnknown as error:
            log.warning("the warehouse has another ledger, starting anew: %s", error)
            self.revision = 0
            self._on_hand.clear()
        except CallError as error:
            if error.code is not Code.DEADLINE_EXCEEDED or not self.fresh:
                raise
