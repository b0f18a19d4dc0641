"""The shop window's service: the catalog, with the warehouse's stock beside it."""

from __future__ import annotations

from collections.abc import AsyncIterator

from acme.retail.inventory.v1 import inventory_pb2
from acme.retail.inventory.v1.inventory_mesh import InventoryServiceClient
from acme.retail.inventory.v1.inventory_mesh import UnknownSku as NotStocked
from acme.retail.store.v1 import store_pb2 as pb
from acme.retail.store.v1.store_mesh import (
    ProductUnknown,
    StockUnknown,
    StoreServiceBase,
)
from meshpact.clients import CallError
from meshpact.servers.codegen import Call
from meshpact.servers.paging import PageTokens, page_size
from reference.money import money
from reference.retail.store.catalog import Catalog, Product


class StoreService(StoreServiceBase):
    """Shows one catalog."""

    def __init__(
        self, catalog: Catalog, inventory: InventoryServiceClient, tokens: PageTokens
    ) -> None:
        self._catalog = catalog
        self._tokens = tokens
        self._inventory = inventory

    async def get_product(
        self, request: pb.GetProductRequest, call: Call, /
    ) -> pb.GetProductResponse:
        product = self._catalog.get(request.sku)
        if product is None:
            raise ProductUnknown(sku=request.sku.upper())
        return pb.GetProductResponse(product=_message(product))

    async def list_products(
        self, request: pb.ListProductsRequest, call: Call, /
    ) -> pb.ListProductsResponse:
        size = page_size(request.page_size, call.info.policy)
        (after,) = self._tokens.start(request, call) or ("",)
        found = self._catalog.page(str(after), size + 1)
        page, more = self._tokens.page(request, call, found, size, lambda each: (each.sku,))
        return pb.ListProductsResponse(products=map(_message, page), next_page_token=more)

    async def browse(
        self, requests: AsyncIterator[pb.BrowseRequest], call: Call, /
    ) -> AsyncIterator[pb.BrowseResponse]:
        async for look in requests:
            sku = look.sku.upper()
            product = self._catalog.get(sku)
            if product is None:
                yield pb.BrowseResponse(sku=sku)
            else:
                yield pb.BrowseResponse(
                    sku=sku, product=_message(product), available=await self._available(sku)
                )

    async def _available(self, sku: str) -> int:
        try:
            answer = await self._inventory.get_stock(inventory_pb2.GetStockRequest(sku=sku))
        except NotStocked:
            return 0
        except CallError as error:
            raise StockUnknown(sku=sku) from error
        return answer.stock.on_hand


def _message(product: Product) -> pb.Product:
    return pb.Product(
        sku=product.sku,
        description=product.description,
        list_price=money(product.list_minor_units, product.currency),
    )
