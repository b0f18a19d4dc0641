"""Rows of billing as messages of its contract."""

from __future__ import annotations

from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from acme.support.billing.v1 import billing_pb2 as pb
from reference.money import money
from reference.support.billing.listing import Account, Whole

Row = Any
STATE = "REFUND_STATE_"


def customer(found: Account) -> pb.Customer:
    """A customer."""
    row = found.row
    return pb.Customer(
        customer=row.customer,
        country=row.country,
        invoice_count=row.invoice_count,
        balances=[money(amount, currency) for currency, amount in found.balances.items()],
        last_order_time=_time(row.last_order_at),
    )


def invoice(row: Row) -> pb.Invoice:
    """An invoice without its lines."""
    return pb.Invoice(
        invoice_id=row.invoice_id,
        customer=row.customer,
        country=row.country,
        state=pb.InvoiceState.Value(f"INVOICE_STATE_{row.state}"),
        place_time=_time(row.placed_at),
        total=money(row.total, row.currency),
        credited=money(row.credited, row.currency),
        refunded=money(row.refunded, row.currency),
    )


def whole_invoice(found: Whole) -> pb.Invoice:
    """An invoice with its lines and charges."""
    made, currency = invoice(found.row), found.row.currency
    for line in found.lines:
        made.lines.add(
            sku=line.sku,
            quantity=line.quantity,
            credited_quantity=line.credited_quantity,
            unit_price=money(line.unit_price, currency),
        )
    for charge in found.charges:
        made.charges.add(code=charge.code, amount=money(charge.amount, currency))
    return made


def refund(row: Row) -> pb.Refund:
    """A refund."""
    return pb.Refund(
        refund_id=row.refund_id,
        invoice_id=row.invoice_id,
        customer=row.customer,
        amount=money(row.amount, row.currency),
        reason=row.reason,
        state=pb.RefundState.Value(f"{STATE}{row.state}"),
        requester=row.requester,
        decider=row.decider,
        rejection=row.rejection,
        create_time=_time(row.created_at),
        decide_time=None if row.decided_at is None else _time(row.decided_at),
    )


def state_of(asked: pb.RefundState.ValueType) -> str:
    """A state as the tables have it, "" for an unspecified one."""
    name = pb.RefundState.Name(asked).removeprefix(STATE)
    return "" if name == "UNSPECIFIED" else name


def _time(microseconds: int) -> Timestamp:
    made = Timestamp()
    made.FromMicroseconds(microseconds)
    return made
