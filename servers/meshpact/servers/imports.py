"""Long imports over a stream: rows in batches, wrong ones told apart, progress on the way.

A batch is written in one transaction. Rows that were written stay when the stream breaks off: make
`write` tell rows it knows already (`Written.known`), and the caller may send all of them again.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from typing import Final, Generic, NamedTuple, TypeVar

import msgspec

R = TypeVar("R")
T = TypeVar("T")

BATCH: Final = 500
"""Rows that are written at once."""
REJECTIONS: Final = 100
"""Rejected rows that are told one by one; the rest is counted."""


class RowRejected(Exception):
    """A row is wrong: the field, why (AIP-193 upper snake case), and words for people."""

    def __init__(self, field: str, reason: str, message: str) -> None:
        super().__init__(message)
        self.field = field
        self.reason = reason
        self.message = message


class Rejection(NamedTuple):
    """A row that was not taken. `line` is the sender's number of it."""

    line: int
    field: str
    reason: str
    message: str


class Row(NamedTuple, Generic[T]):
    """A row, with the number that its sender knows it by."""

    line: int
    value: T


class Written(NamedTuple):
    """What became of a batch: rows that were there already, and those that cannot be taken."""

    known: int = 0
    rejections: Sequence[Rejection] = ()


class Report(msgspec.Struct, frozen=True):
    """How far an import has come. `rejections` holds the first ones, in the order of the rows."""

    accepted: int = 0
    known: int = 0
    rejected: int = 0
    rejections: tuple[Rejection, ...] = ()
    done: bool = False

    @property
    def rows(self) -> int:
        """All rows so far."""
        return self.accepted + self.known + self.rejected


async def importing(
    rows: AsyncIterator[Row[R]],
    check: Callable[[R], T],
    write: Callable[[Sequence[Row[T]]], Awaitable[Written]],
    *,
    batch: int = BATCH,
    rejections: int = REJECTIONS,
) -> AsyncGenerator[Report]:
    """Takes rows in, and gives a report after each batch; the last one is `done`.

    `check` makes of a row what is written, or raises RowRejected; `write` writes a batch, whole or
    not at all. What either raises else ends the import; `Report` counts what is written for good.
    """
    report, good = Report(), list[Row[T]]()
    bad, taken = list[Rejection](), 0

    async def flush() -> Report:
        written = await write(good) if good else Written()
        wrong = sorted([*bad, *written.rejections], key=lambda each: each.line)
        left = max(0, rejections - len(report.rejections))
        return Report(
            accepted=report.accepted + len(good) - written.known - len(written.rejections),
            known=report.known + written.known,
            rejected=report.rejected + len(wrong),
            rejections=(*report.rejections, *wrong[:left]),
        )

    async for row in rows:
        taken += 1
        try:
            good.append(Row(row.line, check(row.value)))
        except RowRejected as problem:
            bad.append(Rejection(row.line, problem.field, problem.reason, problem.message))
        if taken == batch:
            report = await flush()
            good, bad, taken = [], [], 0
            yield report
    if taken:
        report = await flush()
    yield msgspec.structs.replace(report, done=True)


async def imported(reports: AsyncGenerator[Report]) -> Report:
    """The last report, for handlers that answer once."""
    last = Report()
    async for report in reports:
        last = report
    return last
