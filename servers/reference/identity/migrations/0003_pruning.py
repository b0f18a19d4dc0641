"""What is over is found by its end."""

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Adds the indexes."""
    op.create_index("codes_by_end", "codes", ["expires_at"])
    op.create_index("assertions_by_end", "assertions", ["expires_at"])
