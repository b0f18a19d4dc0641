"""The systems on one Postgres: each service in a schema of its own, moved there by DATABASE_URL."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import Connection, text

from databases import postgres_server
from meshpact.servers.storage.database import Database
from systems.running import all_systems


def _schemas(connection: Connection) -> set[str]:
    wanted = text(
        "SELECT DISTINCT table_schema FROM information_schema.tables "
        "WHERE table_schema NOT IN ('pg_catalog', 'information_schema')"
    )
    return set(connection.execute(wanted).scalars())


async def test_all_systems_run_on_one_postgres(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with postgres_server() as server:
        url = str(server.get_uri())
        monkeypatch.setenv("DATABASE_URL", url)
        with all_systems(tmp_path) as (mesh, _):
            while "  0 orders" in (line := mesh.until(" orders  ")) or "- orders" in line:
                pass
            code, report = mesh.end()
        database = Database(url)
        schemas = await database.read(_schemas)
        await database.close()
    assert code == 0, mesh.words
    assert (report["errors_unexpected"], report["ledger_balanced"]) == (0, True)
    assert schemas >= {"inventory", "orders", "shipping", "store", "identity", "catalog", "sales"}
    assert not (tmp_path / ".meshpact" / "databases").exists()
