"""Imports: good rows are taken, wrong ones are told by line, and it may be begun again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meshpact.servers.imports import (
    Rejection,
    Report,
    Row,
    RowRejected,
    Written,
    imported,
    importing,
)


class Broken(Exception):
    """The database is away."""


class Shelf:
    """Where rows go: knows rows by their line, has no place for negative numbers below -100."""

    def __init__(self) -> None:
        self.rows: dict[int, int] = {}
        self.batches: list[int] = []
        self.fail_at = 0

    async def write(self, rows: Sequence[Row[int]]) -> Written:
        self.batches.append(len(rows))
        if len(self.batches) == self.fail_at:
            raise Broken
        known = sum(row.line in self.rows for row in rows)
        wrong = [
            Rejection(r.line, "sku", "UNKNOWN_SKU", f"no {r.value}") for r in rows if r.value == 7
        ]
        self.rows |= {row.line: row.value for row in rows if row.value != 7}
        return Written(known, wrong)


def check(text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        raise RowRejected("quantity", "NOT_A_NUMBER", f"{text!r} is no number") from None
    if number < 0:
        raise RowRejected("quantity", "TOO_FEW", f"{number} is below 0")
    return number


async def rows(texts: Iterable[str]) -> AsyncIterator[Row[str]]:
    for line, text in enumerate(texts, 1):
        yield Row(line, text)


async def test_wrong_rows_are_told_by_line_and_the_others_are_taken() -> None:
    shelf = Shelf()
    report = await imported(
        importing(rows(["1", "x", "3", "-4", "7", "6"]), check, shelf.write, batch=4)
    )
    assert report == Report(
        accepted=3,
        rejected=3,
        rejections=(
            Rejection(2, "quantity", "NOT_A_NUMBER", "'x' is no number"),
            Rejection(4, "quantity", "TOO_FEW", "-4 is below 0"),
            Rejection(5, "sku", "UNKNOWN_SKU", "no 7"),
        ),
        done=True,
    )
    assert shelf.rows == {1: 1, 3: 3, 6: 6}
    assert report.rows == 6


async def test_each_batch_is_reported_as_it_is_written() -> None:
    shelf = Shelf()
    seen = [
        (report.accepted, report.done, len(shelf.batches))
        async for report in importing(rows(["1"] * 10), check, shelf.write, batch=4)
    ]
    assert seen == [(4, False, 1), (8, False, 2), (10, True, 3)]
    assert shelf.batches == [4, 4, 2]


async def test_an_import_of_nothing_is_done_at_once() -> None:
    shelf = Shelf()
    assert await imported(importing(rows([]), check, shelf.write)) == Report(done=True)
    assert shelf.batches == []


async def test_the_report_stays_small_whatever_is_wrong() -> None:
    texts = ["x"] * 1000
    report = await imported(importing(rows(texts), check, Shelf().write, batch=64, rejections=10))
    assert report.rejected == 1000
    assert [each.line for each in report.rejections] == [*range(1, 11)]


async def test_an_import_that_broke_off_may_be_sent_again() -> None:
    shelf = Shelf()
    shelf.fail_at = 3
    texts = [str(number + 10) for number in range(20)]
    reports = importing(rows(texts), check, shelf.write, batch=4)
    with pytest.raises(Broken):
        await imported(reports)
    assert len(shelf.rows) == 8
    report = await imported(importing(rows(texts), check, shelf.write, batch=4))
    assert (report.accepted, report.known, report.done) == (12, 8, True)
    assert shelf.rows == {line: line + 9 for line in range(1, 21)}


@given(
    texts=st.lists(st.sampled_from(["1", "7", "8", "x", "-1", ""]), max_size=40),
    batch=st.integers(1, 9),
)
@settings(deadline=None)
def test_every_row_is_counted_once(texts: list[str], batch: int) -> None:
    shelf = Shelf()
    report = asyncio.run(imported(importing(rows(texts), check, shelf.write, batch=batch)))
    good = [text for text in texts if text in {"1", "8"}]
    assert (report.accepted, report.rejected) == (len(good), len(texts) - len(good))
    assert report.rows == len(texts)
    assert len(shelf.rows) == len(good)
    assert [each.line for each in report.rejections] == [
        line for line, text in enumerate(texts, 1) if text not in {"1", "8"}
    ]
