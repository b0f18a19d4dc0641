"""Amounts in minor units (pence) as google.type.Money, and back: exact, for currencies of cents."""

from __future__ import annotations

from typing import Final

from google.type.money_pb2 import Money

NANOS: Final = 10_000_000
"""Nanos of one minor unit."""


def money(minor_units: int, currency: str = "GBP") -> Money:
    """An amount of minor units: 255 of GBP are 2.55 pounds. Units and nanos share the sign."""
    units, rest = divmod(abs(minor_units), 100)
    sign = -1 if minor_units < 0 else 1
    return Money(currency_code=currency, units=sign * units, nanos=sign * rest * NANOS)


def minor_units(amount: Money) -> int:
    """An amount in minor units; what is finer than one is an error of the contract's rules."""
    units: int = amount.units
    rest, finer = divmod(amount.nanos, NANOS)
    if finer:
        raise ValueError(f"{amount.nanos} nanos are no whole minor units")
    return units * 100 + rest


def in_words(minor_units: int, currency: str) -> str:
    """An amount for people: "2.55 GBP"."""
    units, rest = divmod(abs(minor_units), 100)
    return f"{'-' if minor_units < 0 else ''}{units}.{rest:02} {currency}"
