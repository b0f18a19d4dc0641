"""Which products a list holds and in which order: the parts of AIP-160 and AIP-132 that it takes.

available > 0 AND list_price <= 2.50 AND description:"heart"
list_price desc
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from meshpact.interceptors.errors import FieldViolation, invalid_request
from reference.retail.store.catalog import Product

Levels = Callable[[str], int]
"""Items on hand by SKU."""
Value = str | int
Term = Callable[[Product, Levels], bool]

TERM: Final = re.compile(
    r"""\s*(?P<field>[a-z_]+)\s*(?P<how>:|<=|>=|!=|=|<|>)\s*(?P<value>"(?:[^"\\]|\\.)*"|[^\s"]+)\s*"""
)
AND: Final = re.compile(r"AND(?=\s)")
ORDER: Final = re.compile(r"\s*(?P<field>[a-z_]+)(?P<desc>\s+desc)?\s*")
PRICE: Final = re.compile(r"(\d{1,9})(?:\.(\d{1,2}))?")
COMPARE: Final[Mapping[str, Callable[[Value, Value], bool]]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
VALUES: Final[Mapping[str, Callable[[Product, Levels], Value]]] = {
    "sku": lambda product, levels: product.sku,
    "description": lambda product, levels: product.description,
    "list_price": lambda product, levels: product.list_minor_units,
    "available": lambda product, levels: levels(product.sku),
}
FILTERS: Final = (
    'terms such as available > 0, list_price <= 2.50, sku = "85123A", description:"tin"'
)
ORDERS: Final = "one of sku, description, list_price, available, and then perhaps desc"


class Query(NamedTuple):
    """A list that was asked for. `stock`: it cannot be told without what is on hand."""

    terms: tuple[Term, ...]
    field: str
    descending: bool
    stock: bool

    def key(self, product: Product, levels: Levels) -> tuple[Value, str]:
        """Where a product stands in the list; no two stand at the same place."""
        return VALUES[self.field](product, levels), product.sku

    def holds(self, product: Product, levels: Levels) -> bool:
        """Whether the list has the product."""
        return all(term(product, levels) for term in self.terms)


def parse(filter_text: str, order_by: str) -> Query:
    """Reads both. INVALID_ARGUMENT, reason INVALID_REQUEST, on `filter` or `order_by`."""
    order = ORDER.fullmatch(order_by or "sku")
    if order is None or order["field"] not in VALUES:
        raise _refused("order_by", f"found {order_by!r}; allowed is {ORDERS}")
    terms: list[Term] = []
    stock = order["field"] == "available"
    at = 0
    while at < len(filter_text.rstrip()):
        if terms:
            joint = AND.match(filter_text, at)
            if joint is None:
                raise _refused("filter", f"AND is missing before {filter_text[at:]!r}")
            at = joint.end()
        match = TERM.match(filter_text, at)
        if match is None:
            raise _refused("filter", f"found {filter_text[at:]!r}; allowed are {FILTERS}")
        terms.append(_term(match))
        stock = stock or match["field"] == "available"
        at = match.end()
    return Query(tuple(terms), order["field"], order["desc"] is not None, stock)


def _term(match: re.Match[str]) -> Term:
    field, how, raw = match["field"], match["how"], match["value"]
    text = re.sub(r"\\(.)", r"\1", raw[1:-1]) if raw.startswith('"') else raw
    if field == "description" and how == ":":
        part = text.casefold()
        return lambda product, levels: part in product.description.casefold()
    if how == ":" or field not in VALUES or field == "description":
        raise _refused("filter", f"found {match[0].strip()!r}; allowed are {FILTERS}")
    value, compare, read = _value(field, text), COMPARE[how], VALUES[field]
    return lambda product, levels: compare(read(product, levels), value)


def _value(field: str, text: str) -> Value:
    if field == "sku":
        return text.upper()
    if field == "available":
        if re.fullmatch(r"\d{1,9}", text):
            return int(text)
        raise _refused("filter", f"found available compared with {text!r}; a count is expected")
    price = PRICE.fullmatch(text)
    if price is None:
        raise _refused("filter", f"found list_price compared with {text!r}; write pounds: 2.50")
    return int(price[1]) * 100 + int((price[2] or "").ljust(2, "0"))


def _refused(field: str, text: str) -> Exception:
    return invalid_request([FieldViolation(field, text, "LIST_ARGUMENT_INVALID")])
