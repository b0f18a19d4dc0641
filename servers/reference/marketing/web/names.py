"""What products are called: from the store's catalog, kept for as long as the process runs."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from acme.retail.store.v1 import store_pb2 as pb
from acme.retail.store.v1.store_mesh import StoreServiceClient
from meshpact.clients import CallError
from meshpact.interceptors.errors import StatusError

log = logging.getLogger(__name__)

AGAIN: Final = 600.0
SOON: Final = 5.0
"""Seconds until the catalog is read again: after it was read, and after it could not be."""
PAGE: Final = 500
BETWEEN: Final = 0.2


class Names:
    """The names of products by SKU; a page does without those that are not known yet."""

    def __init__(self, store: StoreServiceClient) -> None:
        self._store = store
        self._task: asyncio.Task[None] | None = None
        self.by_sku: dict[str, str] = {}

    def start(self) -> None:
        """Begins to read the catalog in the background."""
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Ends that."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            try:
                self.by_sku = await self._read()
                pause = AGAIN
            except (CallError, StatusError) as error:
                log.info("the store's catalog cannot be read now: %s", error)
                pause = SOON
            await asyncio.sleep(pause)

    async def _read(self) -> dict[str, str]:
        found: dict[str, str] = {}
        token = ""
        while True:
            page = await self._store.list_products(
                pb.ListProductsRequest(page_size=PAGE, page_token=token)
            )
            found |= {each.sku: each.description for each in page.products if each.description}
            token = page.next_page_token
            if not token:
                return found
            await asyncio.sleep(BETWEEN)
