"""What people read and write on the pages of support: amounts, times, states."""

from __future__ import annotations

import re
from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp
from google.type.money_pb2 import Money

from acme.support.billing.v1 import billing_pb2 as pb
from reference.money import in_words, minor_units, money

SYMBOLS: Final = {"GBP": "£"}
LARGEST: Final = 1_000_000_00
"""Minor units that a refund may have at most, as the contract says."""
INVOICE_STATES: Final = {
    pb.INVOICE_STATE_PAID: "paid",
    pb.INVOICE_STATE_SHIPPED: "shipped",
    pb.INVOICE_STATE_CANCELLED: "cancelled",
}
REFUND_STATES: Final = {
    pb.REFUND_STATE_PENDING: "waits for a supervisor",
    pb.REFUND_STATE_ISSUED: "given",
    pb.REFUND_STATE_REJECTED: "turned down",
}
MADE: Final = {
    pb.REFUND_STATE_PENDING: "waits: a supervisor has to decide.",
    pb.REFUND_STATE_ISSUED: "is given back.",
    pb.REFUND_STATE_REJECTED: "was turned down.",
}
_AMOUNT: Final = re.compile(r"([0-9]{1,9})(?:\.([0-9]{1,2}))?")


def shown(amount: Money) -> str:
    """An amount: "£2.55"."""
    symbol = SYMBOLS.get(amount.currency_code)
    text = in_words(minor_units(amount), "" if symbol else amount.currency_code).strip()
    if symbol is None:
        return text
    return f"-{symbol}{text[1:]}" if text.startswith("-") else symbol + text


def when(time: Timestamp) -> str:
    """A time, in UTC."""
    return time.ToDatetime().strftime("%Y-%m-%d %H:%M")


def short(name: str) -> str:
    """Enough of a long name to tell it from others."""
    return name[:8]


def amount_of(text: str, currency: str) -> Money:
    """The amount that somebody wrote; ValueError says in words what is wrong with it."""
    found = _AMOUNT.fullmatch(text.strip().removeprefix(SYMBOLS.get(currency, "")).strip())
    if found is None:
        # No comma either: 1,50 is one and a half to some, and 150 to others.
        raise ValueError("Write an amount such as 12.50, with a point and no other signs.")
    units, rest = found.groups("")
    minor = int(units) * 100 + int(rest.ljust(2, "0"))
    if not 0 < minor <= LARGEST:
        raise ValueError("The amount has to be more than nothing, and 1000000.00 at most.")
    return money(minor, currency)


def reason_of(text: str) -> str:
    """The words that somebody wrote; ValueError when they are too few or too many."""
    words = " ".join(text.split())
    if not 3 <= len(words) <= 500:
        raise ValueError("Give a reason of 3 to 500 characters.")
    return words
