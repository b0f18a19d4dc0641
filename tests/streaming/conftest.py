"""Databases of both kinds, and the streaming system on each."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio

from streamingmesh import Streaming


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def storage(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], str]:
    """Gives each service of a system its database: a file each, or one Postgres for all."""
    if request.param == "postgres":
        url = request.getfixturevalue("postgres")()
        return lambda _: url
    folder: Path = tmp_path_factory.mktemp("databases")
    return lambda service: f"sqlite:///{folder / service}.db"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def streaming(
    storage: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Streaming]:
    """One running system for all tests of a module, on each kind of database."""
    async with Streaming(tmp_path_factory.mktemp("streaming"), storage=storage) as running:
        yield running
