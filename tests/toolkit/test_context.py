"""What a service's context gives it to keep things with: a place for its data, and secrets."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import Column, Connection, Integer, MetaData, Table, insert, inspect

from databases import NewUrl
from meshpact.mesh.config import load
from meshpact.mesh.state import State
from meshpact.servers.context import ServiceContext
from meshpact.servers.errors import ServerError
from meshpact.servers.keptsecrets import kept_secret
from meshpact.servers.storage.database import Database

MESH = """
trust_domain: shop.example
services:
  store: { factory: "shop:create", address: "127.0.0.1:0" }
  orders: { factory: "shop:create", address: "127.0.0.1:0", storage: "sqlite:///orders.db" }
"""


class Contexts:
    """Makes contexts on one state."""

    def __init__(self, folder: Path) -> None:
        self.state = State(folder / "state").create()
        (folder / "mesh.yaml").write_text(MESH)
        self.config = load(folder / "mesh.yaml")
        self.made: list[ServiceContext] = []

    def of(self, service: str) -> ServiceContext:
        context = ServiceContext(
            config=self.config, service=service, state=self.state, root=Path(), addresses={}
        )
        self.made.append(context)
        return context


@pytest.fixture
async def contexts(tmp_path: Path) -> AsyncIterator[Contexts]:
    made = Contexts(tmp_path)
    yield made
    for context in made.made:
        await context.aclose()


def test_data_lie_in_the_state_unless_the_mesh_or_the_environment_says_where(
    contexts: Contexts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DATABASE_URL", raising=False)
    where = contexts.state.root.resolve() / "databases"
    assert contexts.of("store").storage == f"sqlite:///{where}/store.db"
    assert where.stat().st_mode & 0o777 == 0o700
    assert contexts.of("orders").storage == "sqlite:///orders.db"
    monkeypatch.setenv("DATABASE_URL", "postgresql+asyncpg://host/shop")
    for service in ("store", "orders"):
        assert contexts.of(service).storage == "postgresql+asyncpg://host/shop"


async def test_services_in_one_database_keep_to_themselves(
    contexts: Contexts, postgres: NewUrl, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", postgres().replace("postgresql://", "postgresql+asyncpg://"))
    metadata = MetaData()
    numbers = Table("numbers", metadata, Column("number", Integer, primary_key=True))

    def tables(connection: Connection) -> list[str]:
        return inspect(connection).get_table_names()

    for service in ("store", "orders"):
        context = contexts.of(service)
        database = Database(context.storage, schema=context.service)
        context.on_close(database.close)
        assert await database.read(tables) == []
        await database.migrate(metadata.create_all)
        await database.write(lambda opened: opened.execute(insert(numbers), {"number": 1}))
        assert await database.read(tables) == ["numbers"]


def test_a_secret_is_made_once_and_kept_for_its_owner(contexts: Contexts) -> None:
    secret = contexts.of("store").secret("pages")
    assert len(secret) == 32
    assert contexts.of("store").secret("pages") == secret
    assert contexts.of("store").secret("other") != secret
    assert contexts.of("orders").secret("pages") != secret
    path = contexts.state.root / "secrets" / "store" / "pages"
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert sorted(each.name for each in path.parent.iterdir()) == ["other", "pages"]


def test_processes_that_ask_for_a_secret_at_once_get_the_same(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path\n"
        "from meshpact.servers.keptsecrets import kept_secret\n"
        "sys.stdin.readline()\n"
        "print(kept_secret(Path(sys.argv[1]), 'pages').hex())\n"
    )
    asked = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(tmp_path / "secrets")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    for each in asked:
        assert each.stdin
        each.stdin.write("\n")
        each.stdin.flush()
    assert len({each.communicate()[0] for each in asked}) == 1


def test_a_damaged_secret_is_refused(tmp_path: Path) -> None:
    kept_secret(tmp_path / "secrets", "pages")
    (tmp_path / "secrets" / "pages").write_bytes(b"short")
    with pytest.raises(ServerError, match=r"pages is damaged: it must hold 32 bytes"):
        kept_secret(tmp_path / "secrets", "pages")
