"""The tables of billing.

An invoice holds its sums: `credited` for what was cancelled or came back, `refunded` for refunds
that were given, `pending` for those that wait for a supervisor. Who changes one of them locks the
invoice first. Amounts are in minor units, times in microseconds since the epoch.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, CheckConstraint, Column, Index, MetaData, String, Table

from meshpact.servers.storage.idempotency import idempotency_columns

BYTEWISE = String(200).with_variant(String(200, collation="C"), "postgresql")
"""Ordered byte by byte on both kinds of database, so that a prefix is a range."""
REASON = 500

metadata = MetaData()

position = Table("position", metadata, Column("revision", BigInteger, nullable=False))

customers = Table(
    "customers",
    metadata,
    Column("customer", BYTEWISE, primary_key=True),
    # Of the last order.
    Column("country", String(60), nullable=False, index=True),
    Column("invoice_count", BigInteger, nullable=False),
    Column("last_order_at", BigInteger, nullable=False),
)

invoices = Table(
    "invoices",
    metadata,
    Column("invoice_id", String(36), primary_key=True),
    Column("customer", String(200), nullable=False),
    Column("country", String(60), nullable=False),
    Column("state", String(10), nullable=False),
    Column("placed_at", BigInteger, nullable=False),
    Column("currency", String(3), nullable=False),
    Column("total", BigInteger, nullable=False),
    Column("credited", BigInteger, nullable=False),
    Column("refunded", BigInteger, nullable=False),
    Column("pending", BigInteger, nullable=False),
    CheckConstraint("refunded >= 0 AND pending >= 0", name="sums_of_refunds"),
    CheckConstraint("refunded = 0 OR credited + refunded <= total", name="no_more_than_billed"),
)

Index("invoices_of_customer", invoices.c.customer, invoices.c.placed_at, invoices.c.invoice_id)

lines = Table(
    "lines",
    metadata,
    Column("invoice_id", String(36), primary_key=True),
    Column("line", BigInteger, primary_key=True, autoincrement=False),
    Column("sku", String(20), nullable=False),
    Column("quantity", BigInteger, nullable=False),
    Column("credited_quantity", BigInteger, nullable=False),
    Column("unit_price", BigInteger, nullable=False),
)

charges = Table(
    "charges",
    metadata,
    Column("invoice_id", String(36), primary_key=True),
    Column("line", BigInteger, primary_key=True, autoincrement=False),
    Column("code", String(20), nullable=False),
    Column("amount", BigInteger, nullable=False),
)

credits_ = Table(
    "credits",
    metadata,
    # The event's.
    Column("revision", BigInteger, primary_key=True, autoincrement=False),
    Column("invoice_id", String(36), nullable=False, index=True),
    Column("happened_at", BigInteger, nullable=False),
    # What the goods and charges came to, and what of it was credited.
    Column("due", BigInteger, nullable=False),
    Column("amount", BigInteger, nullable=False),
)

refunds = Table(
    "refunds",
    metadata,
    Column("refund_id", String(36), primary_key=True),
    Column("invoice_id", String(36), nullable=False, index=True),
    Column("customer", String(200), nullable=False),
    Column("currency", String(3), nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("reason", String(REASON), nullable=False),
    Column("state", String(10), nullable=False),
    Column("requester", String(255), nullable=False),
    # Empty while nobody had to decide.
    Column("decider", String(255), nullable=False),
    Column("rejection", String(REASON), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("decided_at", BigInteger),
)

Index("refunds_by_state", refunds.c.state, refunds.c.created_at, refunds.c.refund_id)
Index("refunds_by_time", refunds.c.created_at, refunds.c.refund_id)
Index("refunds_of_customer", refunds.c.customer, refunds.c.created_at, refunds.c.refund_id)

answers = Table("answers", metadata, *idempotency_columns())
