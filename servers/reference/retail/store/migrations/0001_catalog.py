"""The catalog."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Makes the table."""
    op.create_table(
        "products",
        sa.Column("sku", sa.String(20), primary_key=True),
        sa.Column("description", sa.String(200), nullable=False),
        sa.Column("list_minor_units", sa.BigInteger, nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
    )
