"""What products are called: from the store's catalog, kept for as long as the process runs."""

from __future__ import annotations

import asyncio
from typing import Final

from acme.retail.store.v1 import store_pb2 as pb
from acme.retail.store.v1.store_mesh import StoreServiceClient

AGAIN: Final = 600.0
SOON: Final = 5.0
"""Seconds until the catalog is read again: after it was read, and at most after it could not be."""
PAGE: Final = 500
BETWEEN: Final = 0.2


class Names:
    """The names of products by SKU; a page does without those that are not known yet."""

    def __init__(self, store: StoreServiceClient) -> None:
        self._store = store
        self.by_sku: dict[str, str] = {}

    async def read(self) -> None:
        """Reads the catalog once."""
        self.by_sku = await self._read()

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
