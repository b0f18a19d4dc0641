"""What the warehouse starts with and what is delivered: the file knows neither.

Opening stock of a code is 80 % of what the month sold of it, rounded up, and never less than its
largest line. A delivery comes every week and brings 20 % of the month's sales of each code, rounded
up; a month sees five, so that over rounds as much comes as goes, but not always in time.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import Final

from reference.retail.dataset.books import Sale

OPENING_PERCENT: Final = 80
DELIVERY_PERCENT: Final = 20


def _percent(quantity: int, percent: int) -> int:
    return -(-quantity * percent // 100)


def sold(sales: Iterable[Sale]) -> dict[str, int]:
    """Items that the month sold of each code, by code."""
    total: dict[str, int] = {}
    for sale in sales:
        for line in sale.lines:
            total[line.sku] = total.get(line.sku, 0) + line.quantity
    return dict(sorted(total.items()))


def opening(sales: list[Sale]) -> dict[str, int]:
    """Items of each code on hand when the ledger opens, by code."""
    largest: dict[str, int] = {}
    for sale in sales:
        for line in sale.lines:
            largest[line.sku] = max(largest.get(line.sku, 0), line.quantity)
    return {
        sku: max(largest[sku], _percent(quantity, OPENING_PERCENT))
        for sku, quantity in sold(sales).items()
    }


def delivery(sales: Iterable[Sale]) -> dict[str, int]:
    """Items of each code that one weekly delivery brings, by code."""
    return {sku: _percent(quantity, DELIVERY_PERCENT) for sku, quantity in sold(sales).items()}


def week(at: str) -> tuple[int, int]:
    """The ISO year and week of an ISO 8601 time: a delivery comes when it changes."""
    year, number, _ = date.fromisoformat(at[:10]).isocalendar()
    return year, number
