"""Codes are found by their session, which takes them along when it ends."""

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Adds the index."""
    op.create_index("codes_of_session", "codes", ["session_id"])
