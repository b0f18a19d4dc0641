"""One authorization server for each file of tests, on both kinds of database."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from databases import NewUrl, sqlite_urls
from identityworld import Browser, OAuthClient, World


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    if request.param == "postgres":
        made: NewUrl = request.getfixturevalue("postgres")
        return made()
    return sqlite_urls(tmp_path_factory.mktemp("databases"))()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(url: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    async with World(tmp_path_factory.mktemp("identity"), url) as made:
        yield made


@pytest_asyncio.fixture(loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with Browser() as made:
        yield made


@pytest_asyncio.fixture(loop_scope="module")
async def client(world: World) -> AsyncIterator[OAuthClient]:
    async with world.client() as made:
        yield made
