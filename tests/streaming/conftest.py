"""The streaming system on databases of both kinds."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from databases import Storage
from streamingmesh import Streaming


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def streaming(
    storage: Storage, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Streaming]:
    """One running system for all tests of a module, on each kind of database."""
    async with Streaming(tmp_path_factory.mktemp("streaming"), storage=storage) as running:
        yield running
