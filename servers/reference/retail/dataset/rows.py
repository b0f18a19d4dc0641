"""The rows of the data file as they stand there: read and typed, nothing judged yet."""

from __future__ import annotations

import csv
import io
import lzma
from collections.abc import Iterator
from importlib import resources
from typing import Final, NamedTuple

FILE: Final = "online-retail-2011-11.csv.xz"
COLUMNS: Final = (
    "invoice_no",
    "stock_code",
    "description",
    "quantity",
    "invoiced_at",
    "unit_price",
    "customer_id",
    "country",
)


class DatasetError(ValueError):
    """The data file is not what it should be."""


class Row(NamedTuple):
    """One line of the file.

    `pence` is the unit price in pence; `invoiced_at` is local time, ISO 8601 to the minute;
    `customer` is empty where the file names none.
    """

    invoice: str
    code: str
    description: str
    quantity: int
    invoiced_at: str
    pence: int
    customer: str
    country: str


def pence(text: str) -> int:
    """A price in pounds, as the file writes it, in pence; DatasetError for anything inexact."""
    pounds, _, rest = text.partition(".")
    if len(rest) > 2 or not (pounds.removeprefix("-") + rest).isdigit():
        raise DatasetError(f"unit_price {text!r}: pounds with at most two decimals are expected")
    amount = int(pounds) * 100
    part = int(rest.ljust(2, "0")) if rest else 0
    return amount - part if text.startswith("-") else amount + part


def read(packed: bytes | None = None) -> Iterator[Row]:
    """The rows of the project's data file, or of another one of the same form (xz of CSV)."""
    if packed is None:
        packed = resources.files("reference.retail").joinpath("data", FILE).read_bytes()
    with io.StringIO(lzma.decompress(packed).decode("utf-8"), newline="") as text:
        lines = csv.reader(text)
        head = tuple(next(lines, ()))
        if head != COLUMNS:
            raise DatasetError(f"columns are {', '.join(head)}; expected are {', '.join(COLUMNS)}")
        prices: dict[str, int] = {}
        for line in lines:
            invoice, code, description, quantity, at, price, customer, country = line
            if price not in prices:
                prices[price] = pence(price)
            yield Row(
                invoice, code, description, int(quantity), at, prices[price], customer, country
            )
