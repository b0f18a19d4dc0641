"""Refunds: given within the requester's limit, else decided on by a supervisor.

All of it is work of a transaction, on an invoice that is locked: whatever comes at once, refunds
and credits of an invoice never exceed what was billed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, func, insert, select, update

from acme.support.billing.v1.billing_mesh import (
    CurrencyMismatch,
    InvoiceUnknown,
    OwnRefund,
    RefundDecided,
    RefundTooLarge,
    RefundUnknown,
    RequestReused,
)
from reference.money import in_words
from reference.support.billing.tables import invoices, refunds

PENDING: Final = "PENDING"
ISSUED: Final = "ISSUED"
REJECTED: Final = "REJECTED"
"""The states of a refund, as its contract calls them."""


Limit = Callable[[str], int]
"""What one person may give back on an invoice alone, in minor units by currency."""


class Asked(NamedTuple):
    """A refund that somebody asks for; `amount` in minor units."""

    refund_id: str
    invoice_id: str
    amount: int
    currency: str
    reason: str
    requester: str


class Allowed(NamedTuple):
    """What can be given back on an invoice, in minor units: without a supervisor, and at all."""

    alone: int
    left: int
    currency: str


Invoice = Any
Refund = Any
"""A row of the table."""


def allowed(connection: Connection, invoice_id: str, requester: str, limit: Limit) -> Allowed:
    """What a requester may give back now; InvoiceUnknown."""
    return _allowed(connection, _invoice(connection, invoice_id), requester, limit)


def create(connection: Connection, asked: Asked, limit: Limit, now: int) -> Refund:
    """The refund that was asked for: given, or waiting.

    InvoiceUnknown, CurrencyMismatch, RefundTooLarge; RequestReused when its name belongs to
    another one. `now` is in microseconds since the epoch.
    """
    invoice = _invoice(connection, asked.invoice_id, lock=True)
    if asked.currency != invoice.currency:
        raise CurrencyMismatch(currency=invoice.currency)
    before = _find(connection, asked.refund_id)
    if before is not None:
        same = Asked(*(getattr(before, name) for name in Asked._fields))
        if same != asked:
            raise RequestReused(request_id=asked.refund_id)
        return before
    within = _allowed(connection, invoice, asked.requester, limit)
    if asked.amount > within.left:
        raise _too_large(invoice, within.left, asked.amount)
    alone = asked.amount <= within.alone
    row = {
        **asked._asdict(),
        "customer": invoice.customer,
        "state": ISSUED if alone else PENDING,
        "decider": "",
        "rejection": "",
        "created_at": now,
        "decided_at": now if alone else None,
    }
    connection.execute(insert(refunds).values(row))
    column = invoices.c.refunded if alone else invoices.c.pending
    _change(connection, invoice, {column.name: column + asked.amount})
    return _find(connection, asked.refund_id)


def approve(connection: Connection, refund_id: str, decider: str, now: int) -> Refund:
    """Gives a refund that waits. RefundUnknown, OwnRefund, RefundDecided; RefundTooLarge when goods
    came back meanwhile and less is left of the invoice.
    """
    invoice, refund = _waiting(connection, refund_id, decider)
    left = invoice.total - invoice.credited - invoice.refunded
    if refund.amount > left:
        raise _too_large(invoice, max(left, 0), refund.amount)
    changed = {
        "pending": invoices.c.pending - refund.amount,
        "refunded": invoices.c.refunded + refund.amount,
    }
    _change(connection, invoice, changed)
    return _decided(connection, refund_id, ISSUED, decider, now)


def reject(
    connection: Connection, refund_id: str, decider: str, rejection: str, now: int
) -> Refund:
    """Turns a refund down that waits. RefundUnknown, OwnRefund, RefundDecided."""
    invoice, refund = _waiting(connection, refund_id, decider)
    _change(connection, invoice, {"pending": invoices.c.pending - refund.amount})
    return _decided(connection, refund_id, REJECTED, decider, now, rejection)


def _invoice(connection: Connection, invoice_id: str, *, lock: bool = False) -> Invoice:
    wanted = select(invoices).where(invoices.c.invoice_id == invoice_id)
    found = connection.execute(wanted.with_for_update() if lock else wanted).first()
    if found is None:
        raise InvoiceUnknown(invoice_id=invoice_id)
    return found


def _find(connection: Connection, refund_id: str) -> Refund | None:
    return connection.execute(select(refunds).where(refunds.c.refund_id == refund_id)).first()


def _allowed(connection: Connection, invoice: Invoice, requester: str, limit: Limit) -> Allowed:
    # Those that a supervisor let pass count, too: nobody adds to them alone.
    given = connection.execute(
        select(func.coalesce(func.sum(refunds.c.amount), 0)).where(
            refunds.c.invoice_id == invoice.invoice_id,
            refunds.c.requester == requester,
            refunds.c.state == ISSUED,
        )
    ).scalar_one()
    left = max(invoice.total - invoice.credited - invoice.refunded - invoice.pending, 0)
    alone = max(min(limit(invoice.currency) - int(given), left), 0)
    return Allowed(alone, left, invoice.currency)


def _waiting(connection: Connection, refund_id: str, decider: str) -> tuple[Invoice, Refund]:
    """A refund that `decider` may decide on, with its invoice, which is locked."""
    refund = _find(connection, refund_id)
    if refund is None:
        raise RefundUnknown(refund_id=refund_id)
    if refund.requester == decider:
        raise OwnRefund
    invoice = _invoice(connection, refund.invoice_id, lock=True)
    refund = _find(connection, refund_id)  # as it is now that nobody else can change it
    assert refund is not None
    if refund.state != PENDING:
        raise RefundDecided(refund_id=refund_id, state=refund.state.lower())
    return invoice, refund


def _change(connection: Connection, invoice: Invoice, values: dict[str, Any]) -> None:
    mine = invoices.c.invoice_id == invoice.invoice_id
    connection.execute(update(invoices).where(mine).values(values))


def _decided(
    connection: Connection, refund_id: str, state: str, decider: str, now: int, rejection: str = ""
) -> Refund:
    values = {"state": state, "decider": decider, "rejection": rejection, "decided_at": now}
    connection.execute(update(refunds).where(refunds.c.refund_id == refund_id).values(values))
    return _find(connection, refund_id)


def _too_large(invoice: Invoice, left: int, requested: int) -> RefundTooLarge:
    return RefundTooLarge(
        invoice_id=invoice.invoice_id,
        left=in_words(left, invoice.currency),
        requested=in_words(requested, invoice.currency),
    )
