"""Revisions of the ledger, and imports of deliveries and counts."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Adds the columns, makes the tables; what was booked before is of revision 0."""
    for name in ("adjusted", "revision"):
        op.add_column(
            "stock", sa.Column(name, sa.BigInteger, nullable=False, server_default=sa.text("0"))
        )
    head = op.create_table("ledger_head", sa.Column("revision", sa.BigInteger, nullable=False))
    op.bulk_insert(head, [{"revision": 0}])
    op.create_table(
        "import_lines",
        sa.Column("receipt_id", sa.String(36), sa.ForeignKey("receipts.id"), primary_key=True),
        sa.Column("line", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("sku", sa.String(20), sa.ForeignKey("stock.sku"), nullable=False),
        sa.Column("told", sa.BigInteger, nullable=False),
        sa.Column("booked", sa.BigInteger, nullable=False),
    )
