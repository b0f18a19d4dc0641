"""Callers that do not play by the rules, and a database that goes away: nobody else is held up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from acme.streaming.catalog.v1 import catalog_pb2
from acme.streaming.catalog.v1.catalog_mesh import CatalogServiceClient
from acme.streaming.recommendations.v1 import recommendations_pb2 as pb
from meshpact.clients import CallError
from meshpact.interceptors.errors import Code
from streaming.watcher import Watcher, position
from streamingmesh import Streaming, event, opening

EVENTS = 300


async def test_the_catalogs_database_goes_away_and_comes_back(tmp_path: Path) -> None:
    file = tmp_path / "catalog.db"

    def storage(service: str) -> str:
        return f"sqlite:///{tmp_path / service}.db"

    async with Streaming(tmp_path, storage=storage) as streaming:
        watcher = Watcher(streaming)
        known = await watcher.listed()
        catalog = streaming.mesh.client(CatalogServiceClient, as_="streaming-web")
        asked = catalog_pb2.SearchTitlesRequest(profile_id=watcher.profile, query="love")
        before = await catalog.search_titles(asked, token=watcher.token)
        away = file.rename(tmp_path / "away")
        with pytest.raises(CallError) as refused:
            await catalog.search_titles(asked, token=watcher.token)
        assert (refused.value.code, refused.value.reason) == (
            Code.UNAVAILABLE,
            "STORAGE_UNAVAILABLE",
        )
        other = await Watcher(streaming).listed()
        assert other.recommendations == known.recommendations
        away.rename(file)
        after = await catalog.search_titles(asked, token=watcher.token)
        assert list(after.titles) == list(before.titles)


async def test_who_sends_and_never_reads_holds_nobody_up_and_loses_nothing(tmp_path: Path) -> None:
    async with Streaming(tmp_path) as streaming:
        silent, other = Watcher(streaming), Watcher(streaming)
        all_sent = asyncio.Event()

        async def messages() -> AsyncIterator[pb.WatchRequest]:
            yield opening(silent.profile)
            for second in range(EVENTS):
                yield event("s5", position=position(second))
            all_sent.set()

        answers = silent.client.watch(messages(), token=silent.token)
        await anext(answers)
        await all_sent.wait()
        assert (await other.listed()).recommendations
        assert (await other.watch(event("s5", position=position(1))))[-1].event_id
        assert len([each async for each in answers]) == EVENTS
        [watched] = (await silent.history()).watched_titles
        assert watched.position.seconds == EVENTS - 1
