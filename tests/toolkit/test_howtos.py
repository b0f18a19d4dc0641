"""The code on the pages about storage, events, pages, imports and logs does what they say."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import operator
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from google.type.money_pb2 import Money
from sqlalchemy import Connection, insert, select

from acme.retail.inventory.v1 import inventory_pb2 as pb
from meshpact.interceptors.errors import StatusError
from meshpact.mesh.config import load
from meshpact.mesh.state import State
from meshpact.servers.context import ServiceContext
from meshpact.servers.imports import Row
from meshpact.servers.storage.database import Database
from meshpact.servers.storage.feed import ChangeFeed
from toolkit.calls import call
from toolkit.messages import Book
from toolkit.pages import PAGES, programs


def code(page: str) -> Any:
    """All Python of a page, run in order as one module."""
    found = "\n".join(programs(page))
    names: dict[str, Any] = {"__name__": page, "__file__": str(PAGES / page)}
    exec(compile(found, f"{page}.md", "exec"), names)
    return SimpleNamespace(**names)


def context_in(folder: Path) -> ServiceContext:
    """What a service on a state of its own is given."""
    mesh = "trust_domain: shop.example\nservices: { store: { factory: 'shop:create' } }\n"
    (folder / "mesh.yaml").write_text(mesh)
    return ServiceContext(
        config=load(folder / "mesh.yaml"),
        service="store",
        state=State(folder / "state").create(),
        root=folder,
        addresses={},
    )


async def test_store_data(database: Database) -> None:
    page = code("store-data")
    await database.migrate(page.metadata.create_all)
    await database.write(
        lambda opened: opened.execute(insert(page.stock), {"sku": "85123A", "on_hand": 5})
    )
    assert await page.take(database, "85123A", 2) == 3
    with pytest.raises(ValueError, match="too few"):
        await page.take(database, "85123A", 4)
    assert await page.on_hand(database, "85123A") == 3

    def make(connection: Connection, request: pb.ReturnStockRequest) -> pb.ReturnStockResponse:
        return pb.ReturnStockResponse(items=request.lines[0].quantity)

    request = pb.ReturnStockRequest(request_id="1", lines=[pb.StockLine(sku="A", quantity=3)])
    for _ in range(2):
        assert (await page.answer(database, request, call("ReturnStock"), make)).items == 3
    request.lines[0].quantity = 4
    with pytest.raises(StatusError, match="1 was used before"):
        await page.answer(database, request, call("ReturnStock"), make)


async def test_store_data_and_keep_what_is_needed(tmp_path: Path) -> None:
    page = code("store-data")
    context = context_in(tmp_path)
    database = Database(context.storage)
    context.on_close(database.close)
    await database.migrate(page.metadata.create_all)
    rows = [{"number": 1, "at": 0}, {"number": 2, "at": int(time.time())}]
    await database.write(lambda opened: opened.execute(insert(page.visits), rows).rowcount)
    page.keep_what_is_needed(context, database)
    await context.job("retention").run_now()
    left = await database.read(lambda opened: opened.execute(select(page.visits.c.number)).all())
    assert [row.number for row in left] == [2]
    await context.aclose()


async def test_run_in_the_background(tmp_path: Path) -> None:
    page = code("run-in-the-background")
    context, prices = context_in(tmp_path), page.Prices()
    page.begin(context, prices)
    await context.job("prices").run_now()
    assert prices.by_sku == {"85123A": 295}
    await context.aclose()

    async def news() -> AsyncIterator[str]:
        for each in ("one", "two", "gone"):
            yield each

    seen: list[str] = []
    with pytest.raises(page.CannotGoOn):
        await page.follow(news(), seen)
    assert seen == ["one", "two"]


async def test_publish_events(database: Database) -> None:
    page = code("publish-events")
    outbox = page.outbox_of(database)
    await database.migrate(page.metadata.create_all)
    assert [await page.change(outbox, text) for text in "abc"] == [1, 2, 3]
    feed = ChangeFeed(outbox)
    async with contextlib.aclosing(page.watch(feed, 1)) as events:
        assert [await anext(events), await anext(events)] == [(2, "b"), (3, "c")]
    delivered: list[str] = []
    dispatching = asyncio.create_task(page.deliver_to(delivered, feed))
    while await database.read(page.positions.all) != [3]:
        pass
    dispatching.cancel()
    await asyncio.gather(dispatching, return_exceptions=True)
    assert delivered == [*"abc"]
    assert await page.prune(outbox) == 0

    async def source() -> AsyncIterator[Mapping[str, int]]:
        yield {"a": 1}
        yield {"a": 2}

    assert [each async for each in page.newest_only(source())] == [{"a": 2}]
    assert [each async for each in page.coalesced(source(), merge=operator.add)] == [{"a": 3}]


async def test_list_in_pages() -> None:
    page = code("list-in-pages")
    seen: list[str] = []
    token = ""
    while True:
        request = pb.ListStockRequest(page_size=3, page_token=token)
        found, token = await page.list_skus(request, call())
        seen += found
        if not token:
            break
    assert seen == page.SKUS
    price = Money(currency_code="GBP", units=2, nanos=550_000_000)
    assert page.part(price, FieldMask(paths=["units"])) == Money(units=2)
    assert page.changed(price, Money(units=3), FieldMask(paths=["units"])).units == 3


async def test_import_rows() -> None:
    page = code("import-rows")

    async def rows() -> AsyncIterator[Row[str]]:
        for line, text in enumerate(["3", "x", "5"], 1):
            yield Row(line, text)

    first, again = await page.take_in(rows()), await page.take_in(rows())
    assert (first.accepted, first.known, first.rejected) == (2, 0, 1)
    assert (again.accepted, again.known, again.rejected) == (0, 2, 1)
    assert [each.line for each in first.rejections] == [2]


def test_read_the_logs(caplog: pytest.LogCaptureFixture) -> None:
    page = code("read-the-logs")
    caplog.set_level(logging.INFO, page.log.name)
    assert page.note(Book(title="Emma", reader="anna")) == (
        'Book{"title": "Emma", "reader": "[redacted]"}'
    )
