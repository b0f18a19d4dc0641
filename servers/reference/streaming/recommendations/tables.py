"""The tables of recommendations: events as they came, and what they add up to by title."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, MetaData, String, Table

metadata = MetaData()

events = Table(
    "events",
    metadata,
    Column("profile_id", String(36), primary_key=True),
    Column("event_id", String(36), primary_key=True),
    Column("digest", String(64), nullable=False),  # of what the event says
    Column("kept_at", BigInteger, nullable=False, index=True),
)

plays = Table(
    "plays",
    metadata,
    Column("profile_id", String(36), primary_key=True),
    Column("title_id", String(12), primary_key=True),
    Column("last_time", BigInteger, nullable=False),
    Column("position_time", BigInteger, nullable=False),  # of the event that said the position
    Column("position_ms", BigInteger, nullable=False),
    Column("finished", Boolean, nullable=False),
    Column("stars_time", BigInteger, nullable=False),  # of the event that said the stars
    Column("stars", Integer, nullable=False),  # 0 for none
    Index("plays_latest", "profile_id", "last_time"),
)

forgotten = Table(
    "forgotten",
    metadata,
    Column("profile_id", String(36), primary_key=True),
    Column("at", BigInteger, nullable=False),
)
"""Until when the history of a profile was deleted. All times are microseconds since the epoch."""
