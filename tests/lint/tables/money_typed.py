"""MP185: amounts of money are google.type.Money."""

from __future__ import annotations

from typing import Final

from lint.cases import Case


def _field(written: str) -> str:
    return f"message Shop {{ {written} }}"


def _found(name: str) -> tuple[str]:
    return (f"{name} sounds like money and is no google.type.Money",)


CASES: Final = (
    Case(
        "a price in whole pence is found", _field("@@int64 price_pence = 1;"), _found("price_pence")
    ),
    Case(
        "a price as a decimal text is found",
        _field("@@string unit_price = 1;"),
        _found("unit_price"),
    ),
    Case("several fees are found", _field("@@repeated int64 fees = 1;"), _found("fees")),
    Case(
        "an amount of a refund is found",
        _field("@@int64 refund_amount = 1;"),
        _found("refund_amount"),
    ),
    Case(
        "a home-made money is found",
        "@@message Cash { string currency_code = 1; int64 minor_units = 2; }",
        ("Cash is a currency with an amount, and no google.type.Money",),
    ),
    Case("a message is right", _field("Cash price = 1;") + "message Cash { int32 coins = 1; }"),
    Case("floats are another rule's", _field("double price = 1;")),
    Case(
        "a count is no money", _field("int32 price_count = 1; int32 total = 2; int64 amount = 3;")
    ),
    Case("a share of a price is none", _field("int32 tax_rate = 1; int32 discount_percent = 2;")),
    Case("the ID of a payment is none", _field("string payment_id = 1; string payment = 2;")),
    Case("a currency by itself is right", _field("string currency_code = 1;")),
    Case(
        "a message that has more than a currency and an amount is right",
        "message Line { string currency_code = 1; int64 units = 2; string sku = 3; }",
    ),
    Case("a part of a word is none", _field("int32 priceless = 1; int32 costume = 2;")),
)
