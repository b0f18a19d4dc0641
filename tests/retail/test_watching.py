"""Watches of stock: from any revision on without a gap, always the stock as it is, however slow."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from acme.retail.inventory.v1 import inventory_pb2 as pb
from acme.retail.inventory.v1.inventory_mesh import InventoryServiceClient, RevisionUnknown
from acme.retail.store.v1 import store_pb2
from acme.retail.store.v1.store_mesh import StoreServiceClient
from meshpact.interceptors.errors import Code
from reference.retail.inventory import watching
from reference.retail.inventory.ledger import Ledger
from retailshop import OPENING, REPLICA, NewDatabase, NewUrl, Shop

HEART = "85123A"


@pytest.fixture
async def shop(tmp_path: Path, new_url: NewUrl) -> AsyncIterator[Shop]:
    async with Shop(tmp_path, new_url) as shop:
        yield shop


def inventory(shop: Shop, identity: str) -> InventoryServiceClient:
    return InventoryServiceClient(shop.outside.channel("inventory", identity=identity))


async def reserve(shop: Shop, sku: str, quantity: int) -> str:
    name = str(uuid.uuid4())
    lines = [pb.StockLine(sku=sku, quantity=quantity)]
    request = pb.ReserveStockRequest(request_id=name, lines=lines)
    await inventory(shop, "orders").reserve_stock(request)
    return name


async def shown(window: StoreServiceClient, revision: int) -> int:
    """How many are shown as available, once the window has come to a revision."""
    while True:
        found = await window.get_product(store_pb2.GetProductRequest(sku=HEART))
        if found.product.stock_revision >= revision:
            return found.product.available
        await asyncio.sleep(0.01)


def levels(answer: pb.WatchStockResponse) -> dict[str, tuple[int, int]]:
    return {stock.sku: (stock.on_hand, stock.reserved) for stock in answer.stocks}


async def test_a_watch_tells_the_stock_now_and_after_each_change(shop: Shop) -> None:
    request = pb.WatchStockRequest(skus=["22423", "85123a"])
    watch = inventory(shop, "dashboard").watch_stock(request)
    async with asyncio.timeout(30):
        first = await anext(watch)
        assert levels(first) == {"22423": (50, 0), HEART: (500, 0)}
        assert first.revision == 0
        await reserve(shop, HEART, 3)
        change = await anext(each async for each in watch if each.stocks)
    assert (levels(change), change.revision) == ({HEART: (497, 3)}, 1)
    await watch.aclose()  # type: ignore[attr-defined]


async def test_a_watch_goes_on_from_a_revision_and_leaves_nothing_out(shop: Shop) -> None:
    client = inventory(shop, "dashboard")
    await reserve(shop, HEART, 3)
    await reserve(shop, "22423", 1)
    await reserve(shop, HEART, 2)
    async with asyncio.timeout(30):
        whole = await anext(client.watch_stock(pb.WatchStockRequest()))
        assert (set(levels(whole)), whole.revision) == (set(OPENING), 3)
        since = await anext(client.watch_stock(pb.WatchStockRequest(after_revision=1)))
        assert levels(since) == {"22423": (49, 1), HEART: (495, 5)}
        await shop.mesh.stop("inventory")
        await shop.mesh.start("inventory")
        again = client.watch_stock(pb.WatchStockRequest(after_revision=2))
        assert levels(await anext(again)) == {HEART: (495, 5)}


async def test_a_revision_that_the_ledger_never_had_is_refused(shop: Shop) -> None:
    watch = inventory(shop, "dashboard").watch_stock(pb.WatchStockRequest(after_revision=9))
    with pytest.raises(RevisionUnknown, match="at revision 0, not at 9") as caught:
        await anext(watch)
    assert caught.value.code is Code.OUT_OF_RANGE


async def test_a_quiet_watch_says_that_it_is_up_to_date(shop: Shop) -> None:
    watch = inventory(shop, "dashboard").watch_stock(pb.WatchStockRequest())
    async with asyncio.timeout(30):
        await anext(watch)
        pulse = await anext(watch)
    assert (len(pulse.stocks), pulse.revision) == (0, 0)
    await watch.aclose()  # type: ignore[attr-defined]


async def test_changes_that_do_not_concern_what_can_be_sold_may_be_left_out(
    new_database: NewDatabase,
) -> None:
    ledger = Ledger(await new_database("inventory"))
    await ledger.open({"A": 10})
    name = str(uuid.uuid4())
    async with asyncio.timeout(30):
        watch = watching.watch(ledger, [], 0, on_hand_only=True)
        await anext(watch)
        await ledger.reserve(name, {"A": 1})
        assert [(each.sku, each.on_hand) for each in (await anext(watch)).stocks] == [("A", 9)]
        await ledger.ship(name)
        assert await anext(watch) == watching.Changed([], 2)


async def test_a_reader_who_is_slow_gets_the_newest_stock_once(new_database: NewDatabase) -> None:
    ledger = Ledger(await new_database("inventory"))
    await ledger.open({"A": 1000, "B": 10})
    async with asyncio.timeout(60):
        watch = watching.watch(ledger, ["A", "B"], 0)
        await anext(watch)
        for _ in range(20):
            await ledger.reserve(str(uuid.uuid4()), {"A": 1})
        changed = await anext(watch)
    assert [(each.sku, each.on_hand, each.reserved) for each in changed.stocks] == [("A", 980, 20)]
    assert changed.revision == 20


async def test_a_message_of_many_promises_no_revision_that_it_does_not_hold_whole(
    new_database: NewDatabase,
) -> None:
    ledger = Ledger(await new_database("inventory"))
    skus = [f"1{number:04}" for number in range(1200)]
    await ledger.open(dict.fromkeys(skus, 5))
    for start in (0, 400, 800):
        items = dict.fromkeys(skus[start : start + 400], 1)
        await ledger.reserve(str(uuid.uuid4()), items)
    watch = watching.watch(ledger, [], 0)
    parts = [await anext(watch) for _ in range(3)]
    assert [len(part.stocks) for part in parts] == [500, 500, 200]
    assert [part.revision for part in parts] == [1, 2, 3]
    resumed = await anext(watching.watch(ledger, [], parts[0].revision))
    missing = set(skus) - {each.sku for each in parts[0].stocks}
    assert missing <= {each.sku for part in (resumed,) for each in part.stocks} | set(skus[900:])


async def test_both_shop_windows_show_a_change_of_the_stock(shop: Shop) -> None:
    await shop.mesh.start(REPLICA)
    windows = [StoreServiceClient(shop.outside.channel(name)) for name in ("store", REPLICA)]
    await reserve(shop, HEART, 7)
    async with asyncio.timeout(30):
        for window in windows:
            assert await shown(window, 1) == OPENING[HEART] - 7
        await shop.mesh.stop("inventory")
        await shop.mesh.start("inventory")
        await reserve(shop, HEART, 1)
        for window in windows:
            assert await shown(window, 2) == OPENING[HEART] - 8


async def test_a_shop_window_opens_once_it_has_heard_the_warehouse(shop: Shop) -> None:
    for name in ("store", "inventory"):
        await shop.mesh.stop(name)
    opening = asyncio.create_task(shop.mesh.start("store"))
    early, _ = await asyncio.wait([opening], timeout=1)
    assert not early
    await shop.mesh.start("inventory")
    await opening
    client = StoreServiceClient(shop.outside.channel("store"))
    shown = await client.list_products(store_pb2.ListProductsRequest(order_by="available desc"))
    assert shown.products[0].available == max(OPENING.values())
