"""The tables of the sales database.

`facts` is what happened, `totals` what it adds up to in each hour, `position` up to which event of
the orders both go: all three change in one transaction. Hours are seconds since the epoch.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, MetaData, String, Table

metadata = MetaData()

position = Table(
    "position",
    metadata,
    Column("revision", BigInteger, nullable=False),
)

facts = Table(
    "facts",
    metadata,
    Column("revision", BigInteger, primary_key=True, autoincrement=False),
    Column("line", BigInteger, primary_key=True, autoincrement=False),
    Column("hour", BigInteger, nullable=False),
    Column("country", String(60), nullable=False),
    # Empty for charges that belong to no product.
    Column("sku", String(20), nullable=False),
    Column("currency", String(3), nullable=False),
    # 1 where the order was placed, else 0.
    Column("orders", BigInteger, nullable=False),
    Column("items", BigInteger, nullable=False),
    Column("amount", BigInteger, nullable=False),
)

totals = Table(
    "totals",
    metadata,
    Column("dimension", String(8), primary_key=True),
    Column("name", String(60), primary_key=True),
    Column("currency", String(3), primary_key=True),
    Column("hour", BigInteger, primary_key=True, autoincrement=False),
    Column("orders", BigInteger, nullable=False),
    Column("items", BigInteger, nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("revision", BigInteger, nullable=False),
)

Index("totals_by_revision", totals.c.dimension, totals.c.revision)
