"""Follows the events of orders and books them, from where the ledger ends."""

from __future__ import annotations

import asyncio
import logging
import random
from typing import Final

from acme.retail.orders.v1 import orders_pb2 as pb
from acme.retail.orders.v1.orders_mesh import OrderServiceClient, RevisionGone
from meshpact.clients import CallError
from meshpact.interceptors.errors import StatusError
from meshpact.servers.storage.database import StorageUnavailable
from reference.marketing.sales.ledger import Gap, Ledger

FIRST_PAUSE: Final = 0.1
LONGEST_PAUSE: Final = 5.0
_log = logging.getLogger(__name__)


class Follower:
    """One task that keeps a ledger up to date."""

    def __init__(self, ledger: Ledger, orders: OrderServiceClient) -> None:
        self._ledger = ledger
        self._orders = orders
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begins; orders need not be there yet."""
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Ends; what is booked is whole."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        pause, said = FIRST_PAUSE, ""
        while True:
            try:
                request = pb.WatchOrderEventsRequest(after_revision=await self._ledger.revision())
                async for answer in self._orders.watch_order_events(request):
                    await self._ledger.book(answer.events)
                    pause = FIRST_PAUSE
                    if said:
                        _log.info("orders are followed again")
                        said = ""
            except (CallError, StatusError, StorageUnavailable, Gap) as error:
                words = f"{type(error).__name__}: {error}"
                if isinstance(error, RevisionGone):
                    _log.error("sales can be booked no further: %s", words)
                elif words != said:
                    _log.warning("orders cannot be followed now: %s", words)
                said = words
            except Exception:
                _log.exception("an event could not be booked")
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311
            pause = min(pause * 2, LONGEST_PAUSE)
