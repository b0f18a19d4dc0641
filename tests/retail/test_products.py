"""The list of products: filtered, ordered, in pages, with what is available."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acme.retail.inventory.v1 import inventory_pb2
from acme.retail.inventory.v1.inventory_mesh import InventoryServiceClient
from acme.retail.store.v1 import store_pb2 as pb
from acme.retail.store.v1.store_mesh import ProductUnknown, StockUnknown, StoreServiceClient
from meshpact.clients import CallError
from meshpact.interceptors.errors import Code
from reference.money import minor_units
from reference.retail.store.catalog import Catalog, Product
from reference.retail.store.query import parse
from reference.retail.store.service import page
from retailshop import Shop


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Shop]:
    names = iter(range(10))
    async with Shop(tmp_path, lambda: f"sqlite:///{tmp_path / str(next(names))}.db") as shop:
        yield shop


def store(shop: Shop) -> StoreServiceClient:
    return StoreServiceClient(shop.outside.channel("store"))


async def heard(window: StoreServiceClient) -> bool:
    """Whether the shop window knows what is on hand of everything."""
    try:
        await window.list_products(pb.ListProductsRequest(order_by="available"))
    except StockUnknown:
        return False
    return True


async def skus(shop: Shop, **wish: Any) -> list[str]:
    answer = await store(shop).list_products(pb.ListProductsRequest(**wish))
    return [product.sku for product in answer.products]


async def test_the_catalog_is_shown_one_by_one_and_page_by_page(shop: Shop) -> None:
    client = store(shop)
    found = await client.get_product(pb.GetProductRequest(sku="85123a"))
    assert (found.product.sku, minor_units(found.product.list_price)) == ("85123A", 295)
    assert found.product.available == 500
    first = await client.list_products(pb.ListProductsRequest(page_size=2))
    assert [(product.sku, product.available) for product in first.products] == [
        ("22423", 50),
        ("23084", 20_000),
    ]
    rest = await client.list_products(pb.ListProductsRequest(page_token=first.next_page_token))
    assert [product.sku for product in rest.products] == ["85123A"]
    assert rest.next_page_token == ""
    with pytest.raises(ProductUnknown):
        await client.get_product(pb.GetProductRequest(sku="NOSUCH"))


async def test_products_are_filtered_and_ordered_also_by_what_is_available(shop: Shop) -> None:
    window = store(shop)
    while not await heard(window):  # noqa: ASYNC110  (what is waited for tells nobody)
        await asyncio.sleep(0.2)
    assert await skus(shop, filter="available >= 500") == ["23084", "85123A"]
    assert await skus(shop, filter='available < 500 AND description:"thing 2"') == ["22423"]
    assert await skus(shop, filter="list_price > 2.95") == []
    assert await skus(shop, order_by="available desc") == ["23084", "85123A", "22423"]
    assert await skus(shop, order_by="list_price desc") == ["85123A", "23084", "22423"]
    first = await window.list_products(pb.ListProductsRequest(page_size=1, order_by="available"))
    second = await window.list_products(
        pb.ListProductsRequest(page_size=1, order_by="available", page_token=first.next_page_token)
    )
    assert [product.sku for product in (*first.products, *second.products)] == ["22423", "85123A"]


@pytest.mark.parametrize(
    ("field", "wish", "words"),
    [
        ("filter", {"filter": "available"}, "found 'available'"),
        ("filter", {"filter": "color = red"}, "found 'color = red'"),
        ("filter", {"filter": "available > many"}, "a count is expected"),
        ("filter", {"filter": "list_price < 2.999"}, "write pounds: 2.50"),
        ("filter", {"filter": "sku = A OR sku = B"}, "AND is missing before 'OR sku = B'"),
        ("filter", {"filter": "sku = A AND"}, "AND is missing"),
        ("filter", {"filter": "description = x"}, "allowed are terms"),
        ("order_by", {"order_by": "color"}, "allowed is one of sku"),
        ("order_by", {"order_by": "sku upwards"}, "found 'sku upwards'"),
        ("page_token", {"page_token": "bm90aGluZw"}, "begin without it"),
    ],
)
async def test_a_wish_that_is_not_understood_is_refused_by_its_field(
    shop: Shop, field: str, wish: dict[str, str], words: str
) -> None:
    with pytest.raises(CallError) as caught:
        await skus(shop, **wish)
    assert (caught.value.code, caught.value.reason) == (Code.INVALID_ARGUMENT, "INVALID_REQUEST")
    assert [violation.field for violation in caught.value.fields] == [field]
    assert words in caught.value.fields[0].description


async def test_a_page_token_is_good_for_the_list_it_came_from(shop: Shop) -> None:
    first = await store(shop).list_products(pb.ListProductsRequest(page_size=1))
    with pytest.raises(CallError) as caught:
        await skus(shop, page_token=first.next_page_token, filter="available > 0")
    assert [violation.field for violation in caught.value.fields] == ["filter"]


async def test_a_list_by_stock_is_refused_while_the_warehouse_is_not_heard(shop: Shop) -> None:
    await shop.mesh.stop("inventory")
    with pytest.raises(StockUnknown) as caught:
        while True:
            await skus(shop, order_by="available")
            await asyncio.sleep(0.2)
    assert caught.value.code is Code.UNAVAILABLE


async def test_stock_that_a_customer_took_is_not_shown_as_available(shop: Shop) -> None:
    client = InventoryServiceClient(shop.outside.channel("inventory", identity="orders"))
    request = inventory_pb2.ReserveStockRequest(
        request_id=str(uuid.uuid4()),
        lines=[inventory_pb2.StockLine(sku="22423", quantity=50)],
    )
    await client.reserve_stock(request)
    while True:
        if "22423" not in await skus(shop, filter="available > 0"):
            break
        await asyncio.sleep(0.2)


names = st.text("ABC", min_size=1, max_size=3)
products = st.builds(
    Product, names, st.sampled_from(["RED TIN", "TIN", "BOWL"]), st.integers(0, 3), st.just("GBP")
)


@given(
    held=st.lists(products, max_size=12),
    coming=st.lists(products, max_size=12),
    size=st.integers(1, 4),
    order=st.sampled_from(["", "sku desc", "description", "list_price", "list_price desc"]),
    wanted=st.sampled_from(["", 'description:"tin"', "list_price >= 1"]),
)
@settings(max_examples=200, deadline=None)
def test_no_product_is_lost_or_repeated_while_others_come(
    held: list[Product], coming: list[Product], size: int, order: str, wanted: str
) -> None:
    query = parse(wanted, order)
    known = {product.sku for product in held}
    catalog, rest = Catalog(held), [product for product in coming if product.sku not in known]
    before = [product.sku for product in page(catalog, query, len, None)]
    seen: list[str] = []
    after: tuple[str | int, ...] | None = None
    while found := page(catalog, query, len, after)[:size]:
        seen += [product.sku for product in found]
        after = query.key(found[-1], len)
        if rest:
            catalog = Catalog([*catalog, rest.pop()])
    assert len(seen) == len(set(seen))
    assert [sku for sku in seen if sku in known] == before
