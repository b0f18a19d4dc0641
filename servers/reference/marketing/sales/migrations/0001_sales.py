"""What was sold."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Makes the tables."""
    position = op.create_table("position", sa.Column("revision", sa.BigInteger, nullable=False))
    op.bulk_insert(position, [{"revision": 0}])
    op.create_table(
        "facts",
        sa.Column("revision", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("line", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("hour", sa.BigInteger, nullable=False),
        sa.Column("country", sa.String(60), nullable=False),
        sa.Column("sku", sa.String(20), nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("orders", sa.BigInteger, nullable=False),
        sa.Column("items", sa.BigInteger, nullable=False),
        sa.Column("amount", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "totals",
        sa.Column("dimension", sa.String(8), primary_key=True),
        sa.Column("name", sa.String(60), primary_key=True),
        sa.Column("currency", sa.String(3), primary_key=True),
        sa.Column("hour", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("orders", sa.BigInteger, nullable=False),
        sa.Column("items", sa.BigInteger, nullable=False),
        sa.Column("amount", sa.BigInteger, nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
    )
    op.create_index("totals_by_revision", "totals", ["dimension", "revision"])
