"""All five systems on one machine: every page answers, real orders go through, nothing is left.

Once on SQLite, once on one Postgres; never both at a time.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from sqlalchemy import Connection, text

from databases import postgres_server
from meshpact.mesh.config import load
from meshpact.servers.storage.database import Database
from systems.running import all_systems, memory
from upmesh import Up, gone

MOST_MEMORY = 1536
"""MiB of all processes together."""


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    with all_systems(tmp_path_factory.mktemp("systems")) as (running, _):
        yield running


def test_every_service_that_can_run_is_ready(mesh: Up) -> None:
    services = load(mesh.home / "mesh.yaml").services
    assert mesh.running.services.keys() == {name for name, each in services.items() if each.factory}


def test_every_system_of_mesh_yaml_is_part_of_it(mesh: Up) -> None:
    config = load(mesh.home / "mesh.yaml")
    assert {"retail", "streaming", "marketing", "support"} <= config.systems.keys()
    for name, system in config.systems.items():
        assert set(system.services) <= mesh.running.services.keys(), name


def test_every_page_answers_or_leads_to_the_sign_in(mesh: Up) -> None:
    pages = {name: each[0].web for name, each in mesh.running.services.items() if each[0].web}
    assert {"identity", "streaming-web", "dashboard-web", "support-web"} <= pages.keys()
    for name, origin in pages.items():
        answer = httpx.get(origin + "/", follow_redirects=True)
        assert answer.status_code == 200, (name, answer.status_code)
        assert "content-security-policy" in answer.headers, name
        assert "<html" in answer.text, name


def test_all_processes_together_take_less_than_their_share_of_memory(mesh: Up) -> None:
    taken = memory(mesh)
    assert sum(taken.values()) < MOST_MEMORY, taken


def test_orders_go_through_and_everything_ends(mesh: Up) -> None:
    children = mesh.driven().children()
    code, report = mesh.end()
    assert code == 0, mesh.words
    assert report["errors_unexpected"] == 0
    assert report["ledger_balanced"] is True
    assert gone(children)


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
            code, report = mesh.driven().end()
        database = Database(url)
        schemas = await database.read(_schemas)
        await database.close()
    assert code == 0, (report, mesh.words)
    assert (report["errors_unexpected"], report["ledger_balanced"]) == (0, True)
    assert schemas >= {"inventory", "orders", "shipping", "store", "identity", "catalog", "sales"}
    assert not (tmp_path / ".meshpact" / "databases").exists()
