"""Databases: migrated at start, refused with clear words."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, MetaData, inspect, text

from meshpact.servers.storage.database import Database, StorageError
from meshpact.servers.storage.migrate import migrate
from reference.retail.inventory import tables as inventory
from reference.retail.orders import tables as orders
from reference.retail.shipping import tables as shipping
from reference.retail.store import tables as store
from retailshop import RETAIL, NewDatabase, NewUrl

TABLES = {
    "inventory": inventory.metadata,
    "orders": orders.metadata,
    "shipping": shipping.metadata,
    "store": store.metadata,
}


def revisions(connection: Connection) -> list[str]:
    return list(connection.execute(text("SELECT version_num FROM alembic_version")).scalars())


@pytest.mark.parametrize("service", TABLES)
async def test_migrations_make_the_tables_that_the_code_uses(
    new_database: NewDatabase, service: str
) -> None:
    database = await new_database(service)

    def differences(connection: Connection) -> list[object]:
        context = MigrationContext.configure(connection)
        metadata: MetaData = TABLES[service]
        return list(compare_metadata(context, metadata))

    assert await database.read(differences) == []


async def test_migrating_again_changes_nothing(new_url: NewUrl) -> None:
    url = new_url()
    for _ in range(2):
        database = Database(url)
        await migrate(database, RETAIL / "orders" / "migrations")
        assert await database.read(revisions) == ["0002"]
        await database.close()


async def test_a_database_of_a_newer_program_is_refused(new_database: NewDatabase) -> None:
    database = await new_database("store")
    newer = text("UPDATE alembic_version SET version_num='0999'")
    await database.write(lambda connection: connection.execute(newer))
    with pytest.raises(StorageError, match="revision 0999, this program knows up to 0001"):
        await migrate(database, RETAIL / "store" / "migrations")


async def test_a_migration_that_fails_leaves_nothing_behind(
    new_url: NewUrl, tmp_path: Path
) -> None:
    versions = tmp_path / "migrations"
    versions.mkdir()
    (versions / "0001_broken.py").write_text(
        "import sqlalchemy as sa\n"
        "from alembic import op\n"
        "revision = '0001'\n"
        "down_revision = None\n"
        "def upgrade():\n"
        "    op.create_table('made', sa.Column('id', sa.Integer))\n"
        "    op.execute('SELECT * FROM not_there')\n"
    )
    database = Database(new_url())
    with pytest.raises(StorageError, match="not_there"):
        await migrate(database, versions)
    assert await database.read(lambda opened: inspect(opened).get_table_names()) == []
    await database.close()


async def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/nowhere/shop.db")
    with pytest.raises(StorageError, match=r"nowhere/shop\.db cannot be used: make the folder"):
        await migrate(database, RETAIL / "store" / "migrations")
    await database.close()


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("shop.db", "not a database URL"),
        ("mysql://host/shop", "sqlite and postgresql are supported"),
        ("nonsense+driver://host", "sqlite and postgresql are supported"),
    ],
)
def test_a_url_that_cannot_be_used_is_refused(url: str, words: str) -> None:
    with pytest.raises(StorageError, match=words):
        Database(url)


def test_services_start_without_loading_alembic() -> None:
    program = (
        "import sys, reference.retail.orders.app, reference.retail.inventory.app\n"
        "sys.exit('alembic' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
