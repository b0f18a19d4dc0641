"""The titles, and the words to find them by."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Makes the tables."""
    op.create_table(
        "titles",
        sa.Column("place", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("title_id", sa.String(12), nullable=False, unique=True),
        sa.Column("series", sa.Boolean, nullable=False),
        sa.Column("added_day", sa.Integer, nullable=False),
        sa.Column("year", sa.Integer, nullable=False),
        sa.Column("decade", sa.Integer, nullable=False),
        sa.Column("rating", sa.String(20), nullable=False),
        sa.Column("minimum_age", sa.Integer, nullable=False),
        sa.Column("message", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "labels",
        sa.Column("kind", sa.String(10), primary_key=True),
        sa.Column("value", sa.Text, primary_key=True),
        sa.Column("place", sa.Integer, primary_key=True, autoincrement=False),
    )
    op.create_index("labels_of_place", "labels", ["place"])
    op.create_table(
        "imports",
        sa.Column("digest", sa.String(64), primary_key=True),
        sa.Column("report", sa.Text, nullable=False),
    )
    if op.get_bind().dialect.name == "sqlite":
        op.execute(
            "CREATE VIRTUAL TABLE words USING fts5"
            "(title, people, content='', prefix='2 3', tokenize='unicode61 remove_diacritics 0')"
        )
    else:
        op.execute(
            "CREATE TABLE words (place integer PRIMARY KEY, title tsvector NOT NULL,"
            " everything tsvector NOT NULL)"
        )
        op.execute("CREATE INDEX words_title ON words USING gin (title)")
        op.execute("CREATE INDEX words_everything ON words USING gin (everything)")
