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
from outages import WORDS, answered, away, back
from reference.streaming.recommendations.service import EVENTS_AT_ONCE
from streaming.watcher import Watcher, position
from streamingmesh import Streaming, event, opening

EVENTS = EVENTS_AT_ONCE
"""As many as a profile may send at once."""


@pytest.mark.asyncio(loop_scope="module")
async def test_databases_that_go_away_are_told_and_a_session_goes_on_where_it_was(
    streaming: Streaming,
) -> None:
    watcher, services = Watcher(streaming), streaming.mesh.config.services
    known = await watcher.listed()
    await watcher.watch(event("s5", position=position(1)))
    catalog = streaming.mesh.client(CatalogServiceClient, as_="streaming-web")
    asked = catalog_pb2.SearchTitlesRequest(profile_id=watcher.profile, query="love")
    before = await catalog.search_titles(asked, token=watcher.token)
    sent = event("s5", position=position(2))
    places = {services[name].storage for name in ("catalog", "recommendations")}
    for place in places:
        await away(place)
    try:
        for call in (
            catalog.search_titles(asked, token=watcher.token),
            watcher.history(),
            watcher.watch(sent),
            watcher.forget(),
        ):
            with pytest.raises(CallError) as refused:
                await call
            assert (refused.value.code, refused.value.reason, refused.value.message) == (
                Code.UNAVAILABLE,
                "STORAGE_UNAVAILABLE",
                WORDS,
            )
        # Who watched nothing is served from memory.
        assert (await Watcher(streaming).listed()).recommendations == known.recommendations
    finally:
        for place in places:
            await back(place)
    after = await answered(lambda: catalog.search_titles(asked, token=watcher.token))
    assert list(after.titles) == list(before.titles)
    [answer] = (await answered(lambda: watcher.watch(sent)))[1:]
    assert (answer.event_id, answer.unchanged) == (sent.event.event_id, False)
    [watched] = (await watcher.history()).watched_titles
    assert watched.position.seconds == 2


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
