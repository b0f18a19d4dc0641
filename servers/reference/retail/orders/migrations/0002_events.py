"""The outbox of what happened to orders; a reserved order is a pending one from now on."""

from alembic import op

from meshpact.servers.storage.outbox import head_columns, outbox_columns

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Makes the tables; the outbox begins empty."""
    op.create_table("events", *outbox_columns())
    op.create_table("events_head", *head_columns())
    op.execute("UPDATE orders SET state = 'pending' WHERE state = 'reserved'")
