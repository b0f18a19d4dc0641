"""The ledger: stock, reservations, receipts."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Makes the tables."""
    op.create_table(
        "stock",
        sa.Column("sku", sa.String(20), primary_key=True),
        *(
            sa.Column(name, sa.BigInteger, nullable=False)
            for name in ("opening", "delivered", "returned", "on_hand", "reserved", "shipped")
        ),
        sa.CheckConstraint("on_hand >= 0", name="stock_on_hand_not_negative"),
        sa.CheckConstraint("reserved >= 0", name="stock_reserved_not_negative"),
    )
    op.create_table(
        "reservations",
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("state", sa.String(12), nullable=False),
        sa.Column("content", sa.String(64), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("reservations_by_state", "reservations", ["state"])
    op.create_table(
        "reservation_lines",
        sa.Column(
            "reservation_id", sa.String(36), sa.ForeignKey("reservations.id"), primary_key=True
        ),
        sa.Column("sku", sa.String(20), sa.ForeignKey("stock.sku"), primary_key=True),
        sa.Column("quantity", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "receipts",
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("kind", sa.String(12), nullable=False),
        sa.Column("content", sa.String(64), nullable=False),
        sa.Column("arrived_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_table(
        "receipt_lines",
        sa.Column("receipt_id", sa.String(36), sa.ForeignKey("receipts.id"), primary_key=True),
        sa.Column("sku", sa.String(20), sa.ForeignKey("stock.sku"), primary_key=True),
        sa.Column("quantity", sa.BigInteger, nullable=False),
    )
