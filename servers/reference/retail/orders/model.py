"""Orders as plain values: their states, their lines, why one was not filled."""

from __future__ import annotations

import enum
import uuid
from collections.abc import Iterable
from datetime import datetime
from typing import Final, NamedTuple

import msgspec

_NAMES: Final = uuid.UUID("6a2f7c52-0d0a-5d43-9a25-0f6e3d7f4f10")


class State(enum.StrEnum):
    """How far an order has come."""

    PENDING = "pending"
    CONFIRMED = "confirmed"
    SHIPPED = "shipped"
    REJECTED = "rejected"
    CANCELLED = "cancelled"


FINAL: Final = frozenset({State.SHIPPED, State.REJECTED, State.CANCELLED})


class Why(enum.StrEnum):
    """Why an order was rejected."""

    OUT_OF_STOCK = "out-of-stock"
    PRODUCT_UNKNOWN = "product-unknown"
    NOT_DELIVERABLE = "not-deliverable"


class Reason(msgspec.Struct, frozen=True):
    """Why an order was rejected, with what the customer is told."""

    why: Why
    sku: str = ""
    available: int = 0
    text: str = ""


class Line(NamedTuple):
    """Items of one SKU at the line's own price, in pence."""

    sku: str
    quantity: int
    unit_price: int


class Charge(NamedTuple):
    """Something to pay that is no goods, in pence."""

    code: str
    amount: int


class Order(msgspec.Struct, frozen=True):
    """One order without its lines."""

    id: str
    customer: str
    country: str
    state: State
    charges: tuple[Charge, ...]
    total: int
    reason: Reason | None
    content: str
    placed_at: datetime
    shipped_at: datetime | None = None


class Returned(NamedTuple):
    """What one line of a return came to, in items."""

    sku: str
    matched: int
    unmatched: int
    order_id: str


def name_of(customer: str, request_id: str, kind: str = "order") -> str:
    """The name of what a customer's request makes: nobody can take another's request_id."""
    return str(uuid.uuid5(_NAMES, f"{kind}\0{customer}\0{request_id.lower()}"))


def items_of(lines: Iterable[Line]) -> dict[str, int]:
    """Items by SKU, in order; lines of the same SKU are added up."""
    total: dict[str, int] = {}
    for line in lines:
        total[line.sku] = total.get(line.sku, 0) + line.quantity
    return dict(sorted(total.items()))


def total_of(lines: Iterable[Line], charges: Iterable[Charge]) -> int:
    """What is to pay, in pence."""
    goods = sum(line.quantity * line.unit_price for line in lines)
    return goods + sum(charge.amount for charge in charges)
