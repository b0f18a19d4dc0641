"""What profiles watched."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Makes the tables."""
    op.create_table(
        "events",
        sa.Column("profile_id", sa.String(36), primary_key=True),
        sa.Column("event_id", sa.String(36), primary_key=True),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("kept_at", sa.BigInteger, nullable=False, index=True),
    )
    op.create_table(
        "plays",
        sa.Column("profile_id", sa.String(36), primary_key=True),
        sa.Column("title_id", sa.String(12), primary_key=True),
        sa.Column("last_time", sa.BigInteger, nullable=False),
        sa.Column("position_time", sa.BigInteger, nullable=False),
        sa.Column("position_ms", sa.BigInteger, nullable=False),
        sa.Column("finished", sa.Boolean, nullable=False),
        sa.Column("stars_time", sa.BigInteger, nullable=False),
        sa.Column("stars", sa.Integer, nullable=False),
    )
    op.create_index("plays_latest", "plays", ["profile_id", "last_time"])
    op.create_table(
        "forgotten",
        sa.Column("profile_id", sa.String(36), primary_key=True),
        sa.Column("at", sa.BigInteger, nullable=False),
    )
