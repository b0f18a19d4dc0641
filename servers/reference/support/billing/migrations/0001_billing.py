"""Invoices and refunds."""

import sqlalchemy as sa
from alembic import op

from meshpact.servers.storage.idempotency import idempotency_columns

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Makes the tables."""
    position = op.create_table("position", sa.Column("revision", sa.BigInteger, nullable=False))
    op.bulk_insert(position, [{"revision": 0}])
    bytewise = sa.String(200).with_variant(sa.String(200, collation="C"), "postgresql")
    op.create_table(
        "customers",
        sa.Column("customer", bytewise, primary_key=True),
        sa.Column("country", sa.String(60), nullable=False, index=True),
        sa.Column("invoice_count", sa.BigInteger, nullable=False),
        sa.Column("last_order_at", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "invoices",
        sa.Column("invoice_id", sa.String(36), primary_key=True),
        sa.Column("customer", sa.String(200), nullable=False),
        sa.Column("country", sa.String(60), nullable=False),
        sa.Column("state", sa.String(10), nullable=False),
        sa.Column("placed_at", sa.BigInteger, nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("total", sa.BigInteger, nullable=False),
        sa.Column("credited", sa.BigInteger, nullable=False),
        sa.Column("refunded", sa.BigInteger, nullable=False),
        sa.Column("pending", sa.BigInteger, nullable=False),
        sa.CheckConstraint("refunded >= 0 AND pending >= 0", name="sums_of_refunds"),
        sa.CheckConstraint(
            "refunded = 0 OR credited + refunded <= total", name="no_more_than_billed"
        ),
    )
    op.create_index("invoices_of_customer", "invoices", ["customer", "placed_at", "invoice_id"])
    op.create_table(
        "lines",
        sa.Column("invoice_id", sa.String(36), primary_key=True),
        sa.Column("line", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("sku", sa.String(20), nullable=False),
        sa.Column("quantity", sa.BigInteger, nullable=False),
        sa.Column("credited_quantity", sa.BigInteger, nullable=False),
        sa.Column("unit_price", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "charges",
        sa.Column("invoice_id", sa.String(36), primary_key=True),
        sa.Column("line", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("code", sa.String(20), nullable=False),
        sa.Column("amount", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "credits",
        sa.Column("revision", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("invoice_id", sa.String(36), nullable=False, index=True),
        sa.Column("happened_at", sa.BigInteger, nullable=False),
        sa.Column("due", sa.BigInteger, nullable=False),
        sa.Column("amount", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "refunds",
        sa.Column("refund_id", sa.String(36), primary_key=True),
        sa.Column("invoice_id", sa.String(36), nullable=False, index=True),
        sa.Column("customer", sa.String(200), nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("amount", sa.BigInteger, nullable=False),
        sa.Column("reason", sa.String(500), nullable=False),
        sa.Column("state", sa.String(10), nullable=False),
        sa.Column("requester", sa.String(255), nullable=False),
        sa.Column("decider", sa.String(255), nullable=False),
        sa.Column("rejection", sa.String(500), nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("decided_at", sa.BigInteger),
    )
    for name, columns in (
        ("refunds_by_state", ["state", "created_at", "refund_id"]),
        ("refunds_by_time", ["created_at", "refund_id"]),
        ("refunds_of_customer", ["customer", "created_at", "refund_id"]),
    ):
        op.create_index(name, "refunds", columns)
    op.create_table("answers", *idempotency_columns())
