"""Shipments."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Makes the tables."""
    op.create_table(
        "shipments",
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("order_id", sa.String(36), nullable=False),
        sa.Column("customer", sa.String(200), nullable=False),
        sa.Column("country", sa.String(60), nullable=False),
        sa.Column("state", sa.String(12), nullable=False),
        sa.Column("items", sa.BigInteger, nullable=False),
        sa.Column("content", sa.String(64), nullable=False),
        sa.Column("shipped_at", sa.DateTime(timezone=True)),
    )
    op.create_index("shipments_by_state", "shipments", ["state"])
    op.create_table(
        "shipment_lines",
        sa.Column("shipment_id", sa.String(36), sa.ForeignKey("shipments.id"), primary_key=True),
        sa.Column("sku", sa.String(20), primary_key=True),
        sa.Column("quantity", sa.BigInteger, nullable=False),
    )
