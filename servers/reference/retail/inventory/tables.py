"""The tables of the warehouse."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    Index,
    MetaData,
    String,
    Table,
    text,
)

metadata = MetaData()

stock = Table(
    "stock",
    metadata,
    Column("sku", String(20), primary_key=True),
    Column("opening", BigInteger, nullable=False),
    Column("delivered", BigInteger, nullable=False),
    Column("returned", BigInteger, nullable=False),
    Column("on_hand", BigInteger, nullable=False),
    Column("reserved", BigInteger, nullable=False),
    Column("shipped", BigInteger, nullable=False),
    Column("adjusted", BigInteger, nullable=False, server_default=text("0")),
    Column("revision", BigInteger, nullable=False, server_default=text("0")),
    CheckConstraint("on_hand >= 0", name="stock_on_hand_not_negative"),
    CheckConstraint("reserved >= 0", name="stock_reserved_not_negative"),
)

ledger_head = Table(
    "ledger_head",
    metadata,
    Column("revision", BigInteger, nullable=False),
)

reservations = Table(
    "reservations",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("state", String(12), nullable=False),
    Column("content", String(64), nullable=False),
    Column("made_at", DateTime(timezone=True), nullable=False),
)

reservation_lines = Table(
    "reservation_lines",
    metadata,
    Column("reservation_id", String(36), ForeignKey("reservations.id"), primary_key=True),
    Column("sku", String(20), ForeignKey("stock.sku"), primary_key=True),
    Column("quantity", BigInteger, nullable=False),
)

receipts = Table(
    "receipts",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("kind", String(12), nullable=False),
    Column("content", String(64), nullable=False),
    Column("arrived_at", DateTime(timezone=True), nullable=False),
)

receipt_lines = Table(
    "receipt_lines",
    metadata,
    Column("receipt_id", String(36), ForeignKey("receipts.id"), primary_key=True),
    Column("sku", String(20), ForeignKey("stock.sku"), primary_key=True),
    Column("quantity", BigInteger, nullable=False),
)

import_lines = Table(
    "import_lines",
    metadata,
    Column("receipt_id", String(36), ForeignKey("receipts.id"), primary_key=True),
    Column("line", BigInteger, primary_key=True, autoincrement=False),
    Column("sku", String(20), ForeignKey("stock.sku"), nullable=False),
    Column("told", BigInteger, nullable=False),
    Column("booked", BigInteger, nullable=False),
)

Index("reservations_by_state", reservations.c.state)
