"""What is looked up in billing: customers, invoices and refunds, page by page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, func, select, tuple_

from acme.support.billing.v1.billing_mesh import CustomerUnknown, InvoiceUnknown
from reference.support.billing.tables import charges, customers, invoices, lines, refunds

Row = Any
Key = tuple[str | int, ...]
LAST = "\U0010ffff"
"""After every character that a customer's number may have."""


class Account(NamedTuple):
    """A customer's row, and what all invoices come to by currency, in minor units."""

    row: Row
    balances: dict[str, int]


class Whole(NamedTuple):
    """An invoice's row with all that belongs to it."""

    row: Row
    lines: Sequence[Row]
    charges: Sequence[Row]
    refunds: Sequence[Row]


def find_customers(
    connection: Connection, prefix: str, country: str, size: int, after: Key | None
) -> list[Account]:
    """Up to `size` customers by number, those after a key."""
    name = customers.c.customer
    wanted = select(customers).order_by(name).limit(size)
    if prefix:
        wanted = wanted.where(name >= prefix, name < prefix + LAST)
    if country:
        wanted = wanted.where(customers.c.country == country)
    if after is not None:
        wanted = wanted.where(name > after[0])
    return _accounts(connection, connection.execute(wanted).all())


def customer(connection: Connection, number: str) -> Account:
    """One customer; CustomerUnknown."""
    wanted = select(customers).where(customers.c.customer == number)
    found = _accounts(connection, connection.execute(wanted).all())
    if not found:
        raise CustomerUnknown
    return found[0]


def invoices_of(connection: Connection, number: str, size: int, after: Key | None) -> Sequence[Row]:
    """Up to `size` invoices, the newest first, those after a key; CustomerUnknown."""
    known = select(customers.c.customer).where(customers.c.customer == number)
    if connection.execute(known).first() is None:
        raise CustomerUnknown
    key = (invoices.c.placed_at, invoices.c.invoice_id)
    wanted = select(invoices).where(invoices.c.customer == number)
    return _newest(connection, wanted, key, size, after)


def invoice(connection: Connection, invoice_id: str) -> Whole:
    """One invoice; InvoiceUnknown."""
    found = connection.execute(select(invoices).where(invoices.c.invoice_id == invoice_id)).first()
    if found is None:
        raise InvoiceUnknown(invoice_id=invoice_id)

    def belonging(table: Any, *order: ColumnElement[Any]) -> Sequence[Row]:
        mine = select(table).where(table.c.invoice_id == invoice_id)
        return connection.execute(mine.order_by(*order)).all()

    return Whole(
        found,
        belonging(lines, lines.c.line),
        belonging(charges, charges.c.line),
        belonging(refunds, refunds.c.created_at.desc(), refunds.c.refund_id.desc()),
    )


def find_refunds(
    connection: Connection, number: str, state: str, size: int, after: Key | None
) -> Sequence[Row]:
    """Up to `size` refunds, the newest first, those after a key: of a customer, in a state."""
    wanted = select(refunds)
    if number:
        wanted = wanted.where(refunds.c.customer == number)
    if state:
        wanted = wanted.where(refunds.c.state == state)
    return _newest(connection, wanted, (refunds.c.created_at, refunds.c.refund_id), size, after)


def _newest(
    connection: Connection, wanted: Any, key: tuple[Any, Any], size: int, after: Key | None
) -> Sequence[Row]:
    if after is not None:
        wanted = wanted.where(tuple_(*key) < tuple_(*after))
    ordered = wanted.order_by(*(column.desc() for column in key))
    found: Sequence[Row] = connection.execute(ordered.limit(size)).all()
    return found


def _accounts(connection: Connection, rows: Iterable[Row]) -> list[Account]:
    found = {row.customer: Account(row, {}) for row in rows}
    if found:
        of = (invoices.c.customer, invoices.c.currency)
        rest = func.sum(invoices.c.total - invoices.c.credited - invoices.c.refunded)
        sums = select(*of, rest).where(invoices.c.customer.in_(found)).group_by(*of)
        for name, currency, amount in connection.execute(sums.order_by(*of)):
            found[name].balances[currency] = int(amount)
    return list(found.values())
