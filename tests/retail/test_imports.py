"""Imports of deliveries and counts: what is right is booked once, what is wrong is told by line."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from acme.retail.inventory.v1 import inventory_pb2 as pb
from acme.retail.inventory.v1.inventory_mesh import InventoryServiceClient, RequestReused
from meshpact.clients import CallError
from meshpact.interceptors.errors import Code
from reference.retail.driver.audit import Audit
from retailshop import NewUrl, Shop

Rows = Sequence[tuple[int, str, str, int]]
DELIVERY, COUNT = pb.STOCK_IMPORT_KIND_DELIVERY, pb.STOCK_IMPORT_KIND_COUNT
MESSY: Rows = (
    (1, "85123a", "HEART", 10),
    (2, "NOSUCH", "GHOST", 1),
    (3, "22423", " ", 1),
    (4, "22423", "STAND", -5),
    (5, "22423", "STAND", 0),
    (6, "22423", "STAND", 100_001),
    (7, "22423", "STAND", 4),
)


@pytest.fixture
async def shop(tmp_path: Path, new_url: NewUrl) -> AsyncIterator[Shop]:
    async with Shop(tmp_path, new_url) as shop:
        yield shop


def part(name: str, rows: Rows, kind: pb.StockImportKind.ValueType) -> pb.ImportStockRequest:
    return pb.ImportStockRequest(
        request_id=name,
        kind=kind,
        rows=[
            pb.StockImportRow(line=line, sku=sku, description=description, quantity=quantity)
            for line, sku, description, quantity in rows
        ],
    )


async def send(
    shop: Shop, *parts: pb.ImportStockRequest, identity: str = "supplier"
) -> pb.ImportStockResponse:
    async def each() -> AsyncIterator[pb.ImportStockRequest]:
        for one in parts:
            yield one

    client = InventoryServiceClient(shop.outside.channel("inventory", identity=identity))
    return await client.import_stock(each())


async def on_hand(shop: Shop, sku: str) -> int:
    client = InventoryServiceClient(shop.outside.channel("inventory", identity="store"))
    return (await client.get_stock(pb.GetStockRequest(sku=sku))).stock.on_hand


def told(answer: pb.ImportStockResponse) -> list[tuple[int, str, str]]:
    prefix = "STOCK_IMPORT_PROBLEM_"
    return [
        (row.line, row.field, pb.StockImportProblem.Name(row.problem).removeprefix(prefix))
        for row in answer.rejected
    ]


async def test_rows_with_faults_are_reported_and_the_others_booked(shop: Shop) -> None:
    answer = await send(shop, part(str(uuid.uuid4()), MESSY, DELIVERY))
    assert (answer.rows_booked, answer.rows_known, answer.rows_rejected) == (2, 0, 5)
    assert (answer.items, answer.revision) == (14, 1)
    assert told(answer) == [
        (2, "sku", "UNKNOWN_SKU"),
        (3, "description", "NO_DESCRIPTION"),
        (4, "quantity", "TOO_FEW"),
        (5, "quantity", "TOO_FEW"),
        (6, "quantity", "TOO_MANY"),
    ]
    assert [row.message for row in answer.rejected][2:] == [
        "-5 is less than 1",
        "0 is less than 1",
        "100001 is more than 100000",
    ]
    assert (await on_hand(shop, "85123A"), await on_hand(shop, "22423")) == (510, 54)
    assert await Audit.of(shop.outside).faults(patience=0) == []


async def test_a_list_that_is_sent_again_is_booked_once_however_it_is_cut(shop: Shop) -> None:
    name = str(uuid.uuid4())
    await send(shop, part(name, MESSY[:1], DELIVERY))
    again = await send(shop, part(name, MESSY[:4], DELIVERY), part(name, MESSY[4:], DELIVERY))
    assert (again.rows_booked, again.rows_known, again.rows_rejected) == (1, 1, 5)
    assert (await on_hand(shop, "85123A"), await on_hand(shop, "22423")) == (510, 54)
    third = await send(shop, part(name, MESSY, DELIVERY))
    assert (third.rows_booked, third.rows_known, third.items) == (0, 2, 0)
    assert third.revision == again.revision
    assert await Audit.of(shop.outside).faults(patience=0) == []


async def test_a_count_puts_the_books_right(shop: Shop) -> None:
    rows = ((1, "85123A", "HEART", 480), (2, "22423", "STAND", 0), (3, "85123A", "HEART", 490))
    name = str(uuid.uuid4())
    for _ in range(2):
        answer = await send(shop, part(name, rows, COUNT))
        assert answer.rows_rejected == 0
        assert (await on_hand(shop, "85123A"), await on_hand(shop, "22423")) == (490, 0)
    assert await Audit.of(shop.outside).faults(patience=0) == []
    client = InventoryServiceClient(shop.outside.channel("inventory", identity="auditor"))
    entries = {
        entry.sku: entry
        async for message in client.export_ledger(pb.ExportLedgerRequest())
        for entry in message.entries
    }
    assert {sku: entry.adjusted for sku, entry in entries.items()} == {
        "85123A": -10,
        "22423": -50,
        "23084": 0,
    }


async def test_a_line_that_changed_since_it_was_booked_is_reported(shop: Shop) -> None:
    name = str(uuid.uuid4())
    await send(shop, part(name, [(1, "85123A", "HEART", 10)], DELIVERY))
    answer = await send(shop, part(name, [(1, "85123A", "HEART", 11)], DELIVERY))
    assert told(answer) == [(1, "line", "LINE_REUSED")]
    assert answer.rejected[0].message == "line 1 was booked before as 10 of 85123A"
    assert await on_hand(shop, "85123A") == 510


async def test_a_list_has_one_name_and_one_kind(shop: Shop) -> None:
    name, row = str(uuid.uuid4()), [(1, "85123A", "HEART", 1)]
    with pytest.raises(RequestReused):
        await send(shop, part(name, row, DELIVERY), part(str(uuid.uuid4()), row, DELIVERY))
    await send(shop, part(name, row, DELIVERY))
    with pytest.raises(RequestReused) as caught:
        await send(shop, part(name, row, COUNT))
    assert (caught.value.code, caught.value.request_id) == (Code.ALREADY_EXISTS, name)
    assert await on_hand(shop, "85123A") == 501


async def test_a_report_names_the_first_thousand_rows_and_counts_all(shop: Shop) -> None:
    name = str(uuid.uuid4())
    parts = [
        part(name, [(start + line, "NOSUCH", "GHOST", 1) for line in range(500)], DELIVERY)
        for start in (1, 501, 1001)
    ]
    answer = await send(shop, *parts)
    assert (answer.rows_rejected, len(answer.rejected)) == (1500, 1000)


@pytest.mark.parametrize(
    ("field", "request_"),
    [
        ("request_id", part("1", [(1, "A", "A", 1)], DELIVERY)),
        ("kind", part(str(uuid.UUID(int=1)), [(1, "A", "A", 1)], pb.STOCK_IMPORT_KIND_UNSPECIFIED)),
        ("rows", part(str(uuid.UUID(int=1)), [], DELIVERY)),
        ("rows[0].line", part(str(uuid.UUID(int=1)), [(0, "A", "A", 1)], DELIVERY)),
    ],
)
async def test_a_part_that_is_no_list_is_refused_by_its_field(
    shop: Shop, field: str, request_: pb.ImportStockRequest
) -> None:
    with pytest.raises(CallError) as caught:
        await send(shop, request_)
    assert (caught.value.code, caught.value.reason) == (Code.INVALID_ARGUMENT, "INVALID_REQUEST")
    assert [violation.field for violation in caught.value.fields] == [field]


@pytest.mark.parametrize("identity", ["store", "orders", "stranger"])
async def test_only_suppliers_may_import(shop: Shop, identity: str) -> None:
    with pytest.raises(CallError) as caught:
        await send(shop, part(str(uuid.uuid4()), MESSY, DELIVERY), identity=identity)
    assert (caught.value.code, caught.value.reason) == (Code.PERMISSION_DENIED, "ROLE_MISSING")
