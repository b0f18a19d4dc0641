"""MP183: no floating point for money."""

from __future__ import annotations

from typing import Final

from lint.cases import Case


def _field(written: str) -> str:
    return f"message Shop {{ {written} }}"


CASES: Final = (
    Case(
        "a price as a double is found",
        _field("@@double price = 1;"),
        ("price sounds like money and is a double",),
    ),
    Case(
        "a total as a float is found",
        _field("@@float order_total = 1;"),
        ("order_total sounds like money and is a float",),
    ),
    Case(
        "several of them are found",
        _field("@@repeated double fees = 1;"),
        ("fees sounds like money and is a double",),
    ),
    Case("a price in whole pence is right", _field("int64 price_pence = 1;")),
    Case("a price as a decimal text is right", _field("string price = 1;")),
    Case("a rate of a tax is no money", _field("double tax_rate = 1;")),
    Case("a share is no money", _field("double discount_percent = 1;")),
    Case("a temperature is none", _field("double celsius = 1;")),
    Case("a part of a word is none", _field("double priceless = 1;")),
)
