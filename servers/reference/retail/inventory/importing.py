"""Imports: lists of deliveries and counts, booked row by row; rows with faults are only told.

A row is known by its list and its line there: a list that is sent again books nothing twice.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple

from sqlalchemy import Connection

from reference.retail.inventory import statements as sql
from reference.retail.inventory.ledger import RECEIVE, Ledger, Receipt
from reference.retail.inventory.problems import ReusedRequest

MOST: Final = {Receipt.DELIVERY: 100_000, Receipt.COUNT: 1_000_000}
"""Items of one SKU that a row may tell of."""
LEAST: Final = {Receipt.DELIVERY: 1, Receipt.COUNT: 0}


class Problem(enum.Enum):
    """Why a row was not booked."""

    UNKNOWN_SKU = "unknown-sku"
    NO_DESCRIPTION = "no-description"
    TOO_FEW = "too-few"
    TOO_MANY = "too-many"
    LINE_REUSED = "line-reused"


class Row(NamedTuple):
    """A row of a list, as it stands there."""

    line: int
    sku: str
    description: str
    quantity: int


class Rejected(NamedTuple):
    """A row that was not booked."""

    line: int
    field: str
    problem: Problem
    message: str


class Booked(NamedTuple):
    """What became of some rows. `items` is what stock grew by, `revision` the ledger's newest."""

    rows: int
    known: int
    rejected: list[Rejected]
    items: int
    revision: int


async def book_rows(ledger: Ledger, name: str, kind: Receipt, rows: Sequence[Row]) -> Booked:
    """Books rows of the list `name`, all that can be booked in one transaction.

    Raises ReusedRequest when the name is not one of such a list.
    """

    def book(connection: Connection) -> Booked:
        found = connection.execute(sql.FIND_RECEIPT, {"id": name}).first()
        if found is not None and (found.kind, found.content) != (kind, ""):
            raise ReusedRequest(name)
        lines = sorted({row.line for row in rows})
        known = {
            row.line: (row.sku, row.told)
            for row in connection.execute(sql.IMPORTED, {"id": name, "lines": lines})
        }
        skus = sorted({row.sku.upper() for row in rows})
        on_hand: dict[str, int] = {
            row.sku: row.on_hand for row in connection.execute(sql.ON_HAND, {"skus": skus})
        }
        sorted_out = _sorted_out(rows, kind, known, on_hand)
        if not sorted_out.booked:
            newest: int = connection.execute(sql.NEWEST).scalar_one()
            return Booked(0, sorted_out.known, sorted_out.rejected, 0, newest)
        if found is None:
            now = datetime.now(UTC)
            receipt = {"id": name, "kind": kind, "content": "", "arrived_at": now}
            connection.execute(sql.RECEIVE, receipt)
        connection.execute(
            sql.IMPORT_LINES,
            [
                {
                    "receipt_id": name,
                    "line": row.line,
                    "sku": row.sku.upper(),
                    "told": row.quantity,
                    "booked": items,
                }
                for row, items in sorted_out.booked
            ],
        )
        total: dict[str, int] = {}
        for row, items in sorted_out.booked:
            sku = row.sku.upper()
            total[sku] = total.get(sku, 0) + items
        revision = ledger.move(connection, RECEIVE[kind], dict(sorted(total.items())))
        return Booked(
            len(sorted_out.booked),
            sorted_out.known,
            sorted_out.rejected,
            sum(total.values()),
            revision,
        )

    return await ledger.database.write(book)


class _SortedOut(NamedTuple):
    booked: list[tuple[Row, int]]
    known: int
    rejected: list[Rejected]


def _sorted_out(
    rows: Iterable[Row],
    kind: Receipt,
    known: Mapping[int, tuple[str, int]],
    on_hand: Mapping[str, int],
) -> _SortedOut:
    seen, there = dict(known), dict(on_hand)
    found = _SortedOut([], 0, [])
    again = 0
    for row in rows:
        sku = row.sku.upper()
        fault = _fault(row, kind, there)
        before = seen.get(row.line)
        if before == (sku, row.quantity):
            again += 1
        elif fault is not None:
            found.rejected.append(fault)
        elif before is not None:
            text = f"line {row.line} was booked before as {before[1]} of {before[0]}"
            found.rejected.append(Rejected(row.line, "line", Problem.LINE_REUSED, text))
        else:
            items = row.quantity - (there[sku] if kind is Receipt.COUNT else 0)
            there[sku] += items
            seen[row.line] = sku, row.quantity
            found.booked.append((row, items))
    return found._replace(known=again)


def _fault(row: Row, kind: Receipt, on_hand: Mapping[str, int]) -> Rejected | None:
    if row.sku.upper() not in on_hand:
        text = f"the warehouse has no SKU {row.sku!r}; it is made known before goods of it come"
        return Rejected(row.line, "sku", Problem.UNKNOWN_SKU, text)
    if not row.description.strip():
        text = "is empty; write what the goods are called"
        return Rejected(row.line, "description", Problem.NO_DESCRIPTION, text)
    if row.quantity < LEAST[kind]:
        text = f"{row.quantity} is less than {LEAST[kind]}"
        return Rejected(row.line, "quantity", Problem.TOO_FEW, text)
    if row.quantity > MOST[kind]:
        text = f"{row.quantity} is more than {MOST[kind]}"
        return Rejected(row.line, "quantity", Problem.TOO_MANY, text)
    return None
