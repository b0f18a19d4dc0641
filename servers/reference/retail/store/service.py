"""The shop window's service: the catalog, with the warehouse's stock beside it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

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
from reference.retail.store.query import Levels, Query, parse
from reference.retail.store.shelf import Shelf


class StoreService(StoreServiceBase):
    """Shows one catalog, with what is on the shelf."""

    def __init__(self, catalog: Catalog, shelf: Shelf, pages: PageTokens) -> None:
        self._catalog = catalog
        self._shelf = shelf
        self._pages = pages

    async def get_product(
        self, request: pb.GetProductRequest, call: Call, /
    ) -> pb.GetProductResponse:
        product = self._catalog.get(request.sku)
        if product is None:
            raise ProductUnknown(sku=request.sku.upper())
        (shown,) = await self._shown([product])
        return pb.GetProductResponse(product=shown)

    async def list_products(
        self, request: pb.ListProductsRequest, call: Call, /
    ) -> pb.ListProductsResponse:
        size = page_size(request.page_size, call.info.policy)
        query = parse(request.filter, request.order_by)
        if query.stock and not self._shelf.fresh:
            raise StockUnknown
        found = page(self._catalog, query, self._shelf.on_hand, self._pages.start(request, call))
        products, more = self._pages.page(
            request,
            call,
            found[: size + 1],
            size,
            lambda last: query.key(last, self._shelf.on_hand),
        )
        return pb.ListProductsResponse(products=await self._shown(products), next_page_token=more)

    async def browse(
        self, requests: AsyncIterator[pb.BrowseRequest], call: Call, /
    ) -> AsyncIterator[pb.BrowseResponse]:
        async for look in requests:
            sku = look.sku.upper()
            product = self._catalog.get(sku)
            if product is None:
                yield pb.BrowseResponse(sku=sku)
            else:
                (shown,) = await self._shown([product])
                yield pb.BrowseResponse(sku=sku, product=shown, available=shown.available)

    async def _shown(self, products: Sequence[Product]) -> list[pb.Product]:
        try:
            levels = await self._shelf.ask(product.sku for product in products)
        except CallError as error:
            raise StockUnknown from error
        return [
            pb.Product(
                sku=product.sku,
                description=product.description,
                list_price=money(product.list_minor_units, product.currency),
                available=levels[product.sku],
                stock_revision=self._shelf.revision,
            )
            for product in products
        ]


def page(
    catalog: Catalog, query: Query, levels: Levels, after: Sequence[str | int] | None
) -> list[Product]:
    """The products of a list in its order, those that come after the key `after`."""
    wanted = [
        (query.key(product, levels), product) for product in catalog if query.holds(product, levels)
    ]
    wanted.sort(key=lambda each: each[0], reverse=query.descending)
    if after is None:
        return [product for _, product in wanted]
    begin = tuple(after)
    if query.descending:
        return [product for key, product in wanted if key < begin]
    return [product for key, product in wanted if key > begin]
