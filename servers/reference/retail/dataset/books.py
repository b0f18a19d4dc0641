"""The order book: every row is a sale's line, a charge, a return, or is set aside with a reason.

The rules, each counted in `Report`:
- Codes are folded to upper case.
- Invoices that start with C are cancellations: their goods are returns, their fees refunds.
- A row without customer and price, on an invoice where nothing is priced, is an adjustment of the
  warehouse (damage, recounts, goods found): it is no trade and is set aside. A row with a price of
  zero beside priced ones, or with a customer, is a free item: it left the warehouse like any other.
- Fee codes are no goods: on a sale they are charges of its order.
- A sale without a customer belongs to a guest of its own.
- A sale with fees alone orders nothing and is set aside.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from itertools import groupby
from typing import Final, NamedTuple

from reference.retail.dataset.rows import DatasetError, Row

FEES: Final = frozenset(
    {"POST", "DOT", "C2", "M", "D", "S", "BANK CHARGES", "AMAZONFEE", "CRUK"},
)
"""Codes of postage, carriage, manual work, discounts, samples, bank and marketplace fees."""

LINES_PER_ORDER: Final = 200
"""What one order may hold, as the contract has it; a larger sale is split."""


class SaleLine(NamedTuple):
    """Items of one code at the line's own price."""

    sku: str
    quantity: int
    pence: int


class Charge(NamedTuple):
    """A fee on a sale; `pence` is for all of it."""

    code: str
    pence: int


class Sale(NamedTuple):
    """One invoice that sold goods. `at` is local time, ISO 8601 to the minute."""

    invoice: str
    customer: str
    at: str
    country: str
    lines: tuple[SaleLine, ...]
    charges: tuple[Charge, ...]

    def parts(self) -> Iterator[tuple[SaleLine, ...]]:
        """The lines as orders hold them: all of them, at most LINES_PER_ORDER at a time."""
        for start in range(0, len(self.lines), LINES_PER_ORDER):
            yield self.lines[start : start + LINES_PER_ORDER]


class ReturnLine(NamedTuple):
    """Items of one code that were sent back."""

    sku: str
    quantity: int


class Cancellation(NamedTuple):
    """One invoice that took goods back; it does not say which sale they came from."""

    invoice: str
    customer: str
    at: str
    lines: tuple[ReturnLine, ...]


@dataclass
class Report:
    """How many rows became what. `rows` is the sum of all counts that are marked so."""

    rows: int = 0
    sale_lines: int = 0
    """Rows that are goods on a sale."""
    charges: int = 0
    """Rows that are fees on a sale with goods."""
    return_lines: int = 0
    """Rows that are goods on a cancellation."""
    refunds: int = 0
    """Rows that are fees on a cancellation: no goods come back."""
    adjustments_down: int = 0
    """Rows that take stock away: damaged, lost, recounted."""
    adjustments_up: int = 0
    """Rows that add stock: found, recounted."""
    fees_alone: int = 0
    """Rows on sales without any goods."""

    sales: int = 0
    cancellations: int = 0
    sales_of_guests: int = 0
    sales_to_split: int = 0
    """Sales of more than LINES_PER_ORDER lines."""
    orders: int = 0
    """Orders that the sales make, parts counted."""
    free_lines: int = 0
    """Lines of goods at a price of zero."""
    folded_rows: int = 0
    """Rows whose code was not in upper case."""
    folded_codes: int = 0
    """Codes of goods that stand in the file in upper case and otherwise."""
    refund_invoices: int = 0
    """Cancellations with fees alone."""

    def accounted(self) -> int:
        """Rows that became something; always `rows`."""
        return (
            self.sale_lines
            + self.charges
            + self.return_lines
            + self.refunds
            + self.adjustments_down
            + self.adjustments_up
            + self.fees_alone
        )

    def figures(self) -> dict[str, int]:
        """All counts by name."""
        return asdict(self)


@dataclass
class Books:
    """The order book, in the order of time."""

    sales: list[Sale] = field(default_factory=list[Sale])
    cancellations: list[Cancellation] = field(default_factory=list[Cancellation])
    descriptions: dict[str, dict[str, int]] = field(default_factory=dict[str, dict[str, int]])
    """For each code of goods, how many sale lines carry which description."""
    report: Report = field(default_factory=Report)

    def trades(self) -> list[Sale | Cancellation]:
        """Sales and cancellations in the order of time; of the same minute, sales first."""
        trades: list[Sale | Cancellation] = [*self.sales, *self.cancellations]
        return sorted(trades, key=lambda trade: trade.at)


def keep(rows: Iterable[Row]) -> Books:
    """Puts rows into an order book. The rows of an invoice stand together, as in the file."""
    books = Books()
    spelled: dict[str, set[str]] = {}
    for invoice, group in groupby(rows, key=lambda row: row.invoice):
        lines = list(group)
        books.report.rows += len(lines)
        for row in lines:
            if row.code != row.code.upper():
                books.report.folded_rows += 1
            if row.code.upper() not in FEES:
                spelled.setdefault(row.code.upper(), set()).add(row.code)
        if invoice.startswith("C"):
            _cancellation(books, lines)
        else:
            _sale(books, lines)
    books.report.folded_codes = sum(len(spellings) > 1 for spellings in spelled.values())
    books.report.sales = len(books.sales)
    books.report.cancellations = len(books.cancellations)
    if books.report.accounted() != books.report.rows:
        raise DatasetError(
            f"{books.report.rows} rows were read, {books.report.accounted()} accounted for"
        )
    return books


def _sale(books: Books, rows: list[Row]) -> None:
    report = books.report
    first = rows[0]
    priced = any(row.pence > 0 for row in rows)
    lines: list[SaleLine] = []
    charges: list[Charge] = []
    for row in rows:
        sku = row.code.upper()
        if row.pence < 0:
            raise DatasetError(f"invoice {row.invoice}: {row.code} has a price below zero")
        if not row.customer and row.pence == 0 and not priced:
            if row.quantity < 0:
                report.adjustments_down += 1
            else:
                report.adjustments_up += 1
        elif row.quantity <= 0:
            raise DatasetError(
                f"invoice {row.invoice}: {row.quantity} of {row.code} on a sale; an adjustment "
                "has neither customer nor price"
            )
        elif sku in FEES:
            charges.append(Charge(sku, row.quantity * row.pence))
        else:
            lines.append(SaleLine(sku, row.quantity, row.pence))
            report.free_lines += row.pence == 0
            names = books.descriptions.setdefault(sku, {})
            names[row.description] = names.get(row.description, 0) + 1
    if not lines:
        report.fees_alone += len(charges)
        return
    report.sale_lines += len(lines)
    report.charges += len(charges)
    report.sales_of_guests += not first.customer
    sale = Sale(
        first.invoice, _customer(first), first.invoiced_at, first.country, tuple(lines),
        tuple(charges),
    )  # fmt: skip
    parts = sum(1 for _ in sale.parts())
    report.orders += parts
    report.sales_to_split += parts > 1
    books.sales.append(sale)


def _cancellation(books: Books, rows: list[Row]) -> None:
    report = books.report
    first = rows[0]
    lines: list[ReturnLine] = []
    for row in rows:
        if row.quantity >= 0:
            raise DatasetError(f"invoice {row.invoice}: a cancellation of {row.quantity} items")
        sku = row.code.upper()
        if sku in FEES:
            report.refunds += 1
        else:
            lines.append(ReturnLine(sku, -row.quantity))
    report.return_lines += len(lines)
    if lines:
        books.cancellations.append(
            Cancellation(first.invoice, _customer(first), first.invoiced_at, tuple(lines))
        )
    else:
        report.refund_invoices += 1


def _customer(row: Row) -> str:
    return f"customer-{row.customer}" if row.customer else f"guest-{row.invoice}"
