"""The tables of orders."""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
)

from meshpact.servers.storage.outbox import head_columns, outbox_columns

metadata = MetaData()

orders = Table(
    "orders",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("customer", String(200), nullable=False),
    Column("country", String(60), nullable=False),
    Column("state", String(12), nullable=False),
    Column("charges", Text, nullable=False),
    Column("total", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),
    Column("content", String(64), nullable=False),
    Column("placed_at", DateTime(timezone=True), nullable=False),
    Column("shipped_at", DateTime(timezone=True)),
)

order_lines = Table(
    "order_lines",
    metadata,
    Column("order_id", String(36), ForeignKey("orders.id"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("sku", String(20), nullable=False),
    Column("quantity", BigInteger, nullable=False),
    Column("unit_price", BigInteger, nullable=False),
    Column("returned", BigInteger, nullable=False),
)

returns = Table(
    "returns",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("customer", String(200), nullable=False),
    Column("state", String(12), nullable=False),
    Column("content", String(64), nullable=False),
    Column("made_at", DateTime(timezone=True), nullable=False),
)

return_lines = Table(
    "return_lines",
    metadata,
    Column("return_id", String(36), ForeignKey("returns.id"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("sku", String(20), nullable=False),
    Column("matched", BigInteger, nullable=False),
    Column("unmatched", BigInteger, nullable=False),
    Column("order_id", String(36), nullable=False),
)

EVENTS: Final = "events"
"""The outbox of what happened to orders."""
Table(EVENTS, metadata, *outbox_columns())
Table(f"{EVENTS}_head", metadata, *head_columns())

Index("orders_of_customer", orders.c.customer, orders.c.placed_at)
Index("orders_by_state", orders.c.state)
Index("returns_by_state", returns.c.state)
