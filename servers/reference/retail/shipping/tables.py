"""The tables of shipping."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, DateTime, ForeignKey, Index, MetaData, String, Table

metadata = MetaData()

shipments = Table(
    "shipments",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("order_id", String(36), nullable=False),
    Column("customer", String(200), nullable=False),
    Column("country", String(60), nullable=False),
    Column("state", String(12), nullable=False),
    Column("items", BigInteger, nullable=False),
    Column("content", String(64), nullable=False),
    Column("shipped_at", DateTime(timezone=True)),
)

shipment_lines = Table(
    "shipment_lines",
    metadata,
    Column("shipment_id", String(36), ForeignKey("shipments.id"), primary_key=True),
    Column("sku", String(20), primary_key=True),
    Column("quantity", BigInteger, nullable=False),
)

Index("shipments_by_state", shipments.c.state)
