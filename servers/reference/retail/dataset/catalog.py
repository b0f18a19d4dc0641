"""The catalog: what the shop sells, under which name, at what list price.

The list price is the median of the lines that were paid for (of two middle ones the lower, so that
it is a price that was really asked); zero for a code that was only ever given away. The name is the
one on most lines, the first in the alphabet of several; empty when no line has one.
"""

from __future__ import annotations

from typing import NamedTuple

from reference.retail.dataset.books import Books


class CatalogEntry(NamedTuple):
    """One product; `list_pence` is its list price in pence."""

    sku: str
    description: str
    list_pence: int


def catalog(books: Books) -> list[CatalogEntry]:
    """Every code that the month sold, by code."""
    prices: dict[str, list[int]] = {}
    for sale in books.sales:
        for line in sale.lines:
            prices.setdefault(line.sku, []).append(line.pence)
    return [
        CatalogEntry(sku, _name(books.descriptions.get(sku, {})), _median(paid))
        for sku, paid in sorted(prices.items())
    ]


def _median(prices: list[int]) -> int:
    paid = sorted(price for price in prices if price > 0)
    return paid[(len(paid) - 1) // 2] if paid else 0


def _name(names: dict[str, int]) -> str:
    return min((name for name in names if name), key=lambda name: (-names[name], name), default="")
