"""The tables of identity. Times are seconds since the epoch; secrets are there as SHA-256 only."""

from __future__ import annotations

from sqlalchemy import (
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from meshpact.servers.storage.idempotency import idempotency_columns

metadata = MetaData()

accounts = Table(
    "accounts",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("login", String(64), nullable=False, unique=True),
    Column("password", String(200), nullable=False),
    Column("member_of", Text, nullable=False),
    Column("disabled", Boolean, nullable=False),
    Column("created_at", Double, nullable=False),
)

attempts = Table(
    "attempts",
    metadata,
    Column("key", String(64), primary_key=True),
    Column("failures", Integer, nullable=False),
    Column("failed_at", Double, nullable=False),
    Column("locked_until", Double, nullable=False),
)

sessions = Table(
    "sessions",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("secret", String(64), nullable=False, unique=True),
    Column("account_id", String(36), ForeignKey("accounts.id"), nullable=False),
    Column("user_agent", String(200), nullable=False),
    Column("source", String(64), nullable=False),
    Column("created_at", Double, nullable=False),
    Column("used_at", Double, nullable=False),
    Column("expires_at", Double, nullable=False),
)
Index("sessions_of_account", sessions.c.account_id, sessions.c.created_at)
Index("sessions_by_end", sessions.c.expires_at)

grants = Table(
    "grants",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("session_id", String(36), ForeignKey("sessions.id", ondelete="CASCADE"), nullable=False),
    Column("client_id", String(64), nullable=False),
    Column("scope", Text, nullable=False),
    Column("resource", String(200), nullable=False),
    Column("ended", Boolean, nullable=False),
    Column("created_at", Double, nullable=False),
)
Index("grants_of_session", grants.c.session_id)

codes = Table(
    "codes",
    metadata,
    Column("hash", String(64), primary_key=True),
    Column("session_id", String(36), ForeignKey("sessions.id", ondelete="CASCADE"), nullable=False),
    Column("client_id", String(64), nullable=False),
    Column("redirect_uri", String(500), nullable=False),
    Column("challenge", String(128), nullable=False),
    Column("scope", Text, nullable=False),
    Column("resource", String(200), nullable=False),
    Column("nonce", String(200), nullable=False),
    Column("expires_at", Double, nullable=False),
    # what the code became; empty while nobody has used it
    Column("grant_id", String(36), nullable=False),
)
Index("codes_of_session", codes.c.session_id)
Index("codes_by_end", codes.c.expires_at)

refresh_tokens = Table(
    "refresh_tokens",
    metadata,
    Column("hash", String(64), primary_key=True),
    Column("grant_id", String(36), ForeignKey("grants.id", ondelete="CASCADE"), nullable=False),
    Column("used", Boolean, nullable=False),
)
Index("refresh_tokens_of_grant", refresh_tokens.c.grant_id)

assertions = Table(
    "assertions",
    metadata,
    Column("hash", String(64), primary_key=True),
    Column("expires_at", Double, nullable=False),
)
Index("assertions_by_end", assertions.c.expires_at)

profiles = Table(
    "profiles",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("account_id", String(36), ForeignKey("accounts.id"), nullable=False),
    Column("position", Integer, nullable=False),
    Column("name", String(40), nullable=False),
    Column("name_key", String(160), nullable=False),
    Column("maturity", Integer, nullable=False),
    Column("created_at", Double, nullable=False),
    UniqueConstraint("account_id", "name_key", name="profile_names"),
    UniqueConstraint("account_id", "position", name="profile_positions"),
)

requests = Table("requests", metadata, *idempotency_columns())
