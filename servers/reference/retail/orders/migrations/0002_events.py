"""The log of what happened to orders."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Makes the tables; the log begins empty."""
    head = op.create_table("event_head", sa.Column("revision", sa.BigInteger, nullable=False))
    op.bulk_insert(head, [{"revision": 0}])
    op.create_table(
        "events",
        sa.Column("revision", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("happened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("payload", sa.LargeBinary, nullable=False),
    )
