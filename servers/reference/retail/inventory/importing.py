"""Imports: lists of deliveries and counts, booked row by row; rows with faults are only told.

A row is known by its list and its line there: a list that is sent again books nothing twice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple

from sqlalchemy import Connection

from meshpact.servers.imports import Rejection, RowRejected, Written
from meshpact.servers.imports import Row as Numbered
from reference.retail.inventory import statements as sql
from reference.retail.inventory.ledger import RECEIVE, Ledger, Receipt
from reference.retail.inventory.problems import ReusedRequest

MOST: Final = {Receipt.DELIVERY: 100_000, Receipt.COUNT: 1_000_000}
"""Items of one SKU that a row may tell of."""
LEAST: Final = {Receipt.DELIVERY: 1, Receipt.COUNT: 0}


class Row(NamedTuple):
    """What a row of a list says."""

    sku: str
    description: str
    quantity: int


class Import:
    """One list that is being booked. `items` is what stock grew by, `revision` the ledger's."""

    def __init__(self, ledger: Ledger, name: str, kind: Receipt) -> None:
        self._ledger = ledger
        self._name = name
        self._kind = kind
        self.items = 0
        self.revision = 0

    def check(self, row: Row) -> Row:
        """The row, if it is right by itself; raises RowRejected."""
        if "\0" in row.sku:
            raise RowRejected("sku", "UNKNOWN_SKU", _unknown(row.sku))
        least, most = LEAST[self._kind], MOST[self._kind]
        if not row.description.strip():
            text = "is empty; write what the goods are called"
            raise RowRejected("description", "NO_DESCRIPTION", text)
        if row.quantity < least:
            raise RowRejected("quantity", "TOO_FEW", f"{row.quantity} is less than {least}")
        if row.quantity > most:
            raise RowRejected("quantity", "TOO_MANY", f"{row.quantity} is more than {most}")
        return row._replace(sku=row.sku.upper())

    async def write(self, rows: Sequence[Numbered[Row]]) -> Written:
        """Books rows in one transaction, all that can be booked.

        Raises ReusedRequest when the list's name is not one of such a list.
        """
        written, items, revision = await self._ledger.database.write(
            lambda connection: self._book(connection, rows)
        )
        self.items += items
        self.revision = revision
        return written

    def _book(
        self, connection: Connection, rows: Sequence[Numbered[Row]]
    ) -> tuple[Written, int, int]:
        found = connection.execute(sql.FIND_RECEIPT, {"id": self._name}).first()
        if found is not None and (found.kind, found.content) != (self._kind, ""):
            raise ReusedRequest(self._name)
        wanted = {"id": self._name, "lines": sorted({row.line for row in rows})}
        before = {row.line: (row.sku, row.told) for row in connection.execute(sql.IMPORTED, wanted)}
        skus = {"skus": sorted({row.value.sku for row in rows})}
        on_hand = {row.sku: row.on_hand for row in connection.execute(sql.ON_HAND, skus)}
        booked, written = self._sorted_out(rows, before, on_hand)
        if not booked:
            return written, 0, connection.execute(sql.NEWEST).scalar_one()
        if found is None:
            receipt = {"id": self._name, "kind": self._kind, "content": ""}
            connection.execute(sql.RECEIVE, {**receipt, "arrived_at": datetime.now(UTC)})
        connection.execute(
            sql.IMPORT_LINES,
            [
                {
                    "receipt_id": self._name,
                    "line": line,
                    "sku": row.sku,
                    "told": row.quantity,
                    "booked": items,
                }
                for (line, row), items in booked
            ],
        )
        total: dict[str, int] = {}
        for (_, row), items in booked:
            total[row.sku] = total.get(row.sku, 0) + items
        movement = RECEIVE[self._kind]
        revision = self._ledger.move(connection, movement, dict(sorted(total.items())))
        return written, sum(total.values()), revision

    def _sorted_out(
        self,
        rows: Sequence[Numbered[Row]],
        before: Mapping[int, tuple[str, int]],
        on_hand: Mapping[str, int],
    ) -> tuple[list[tuple[Numbered[Row], int]], Written]:
        """What is to be booked, with what it adds to the stock, and what is not."""
        seen, there = dict(before), dict(on_hand)
        booked: list[tuple[Numbered[Row], int]] = []
        rejections: list[Rejection] = []
        known = 0
        for numbered in rows:
            line, row = numbered
            told = seen.get(line)
            if told == (row.sku, row.quantity):
                known += 1
            elif row.sku not in there:
                rejections.append(Rejection(line, "sku", "UNKNOWN_SKU", _unknown(row.sku)))
            elif told is not None:
                text = f"line {line} was booked before as {told[1]} of {told[0]}"
                rejections.append(Rejection(line, "line", "LINE_REUSED", text))
            else:
                items = row.quantity - (there[row.sku] if self._kind is Receipt.COUNT else 0)
                there[row.sku] += items
                seen[line] = row.sku, row.quantity
                booked.append((numbered, items))
        return booked, Written(known, rejections)


def _unknown(sku: str) -> str:
    return f"the warehouse has no SKU {sku!r}; it is made known before goods come"
