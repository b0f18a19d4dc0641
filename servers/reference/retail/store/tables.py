"""The table of the shop window."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, MetaData, String, Table

metadata = MetaData()

products = Table(
    "products",
    metadata,
    Column("sku", String(20), primary_key=True),
    Column("description", String(200), nullable=False),
    Column("list_minor_units", BigInteger, nullable=False),
    Column("currency", String(3), nullable=False),
)
