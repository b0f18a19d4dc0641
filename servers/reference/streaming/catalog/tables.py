"""The tables of the catalog. The words to search by lie in a table `words`, which each kind of
database makes by its own means (migrations/0001_titles.py)."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Integer, LargeBinary, MetaData, String, Table, Text

metadata = MetaData()

titles = Table(
    "titles",
    metadata,
    Column("place", Integer, primary_key=True, autoincrement=False),  # in the order of names
    Column("title_id", String(12), nullable=False, unique=True),
    Column("series", Boolean, nullable=False),
    Column("added_day", Integer, nullable=False),  # days since 0001-01-01, 0 when not known
    Column("year", Integer, nullable=False),
    Column("decade", Integer, nullable=False),
    Column("rating", String(20), nullable=False),
    Column("minimum_age", Integer, nullable=False),
    Column("message", LargeBinary, nullable=False),  # the whole Title, on the wire
)

labels = Table(
    "labels",
    metadata,
    Column("kind", String(10), primary_key=True),
    Column("value", Text, primary_key=True),
    Column("place", Integer, primary_key=True, autoincrement=False),
)
"""The genres and countries of titles."""

imports = Table(
    "imports",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("report", Text, nullable=False),
)
"""Which file the titles are from (SHA-256), and what was done to its rows (JSON)."""
