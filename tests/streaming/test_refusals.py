"""Each way in that must be shut is shut, by code, reason and words; the right one opens."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from acme.streaming.catalog.v1 import catalog_pb2
from acme.streaming.catalog.v1.catalog_mesh import (
    CatalogServiceClient,
    ProfilesUnavailable,
    TitleAboveRating,
)
from acme.streaming.recommendations.v1 import recommendations_pb2 as pb
from acme.streaming.recommendations.v1.recommendations_mesh import (
    EventRateExceeded,
    RecommendationServiceClient,
    SourcesUnavailable,
)
from meshpact.clients import CallError
from meshpact.interceptors.errors import Code
from reference.streaming.profiles import KEPT
from streaming.refusals import (
    ABOVE,
    ALLOWED,
    CASES,
    METHODS,
    PAGE,
    Case,
    Facts,
    Method,
    facts_of,
    fault,
    good_token,
)
from streaming.watcher import Watcher, position
from streamingmesh import ADULTS, KIDS, WATCH, Streaming, event, opening

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def facts(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Facts]:
    async with Streaming(tmp_path_factory.mktemp("refusals")) as running:
        yield facts_of(running)


@pytest.mark.parametrize("method", METHODS, ids=[method.name for method in METHODS])
async def test_who_may_is_let_in_with_no_more_scopes_than_it_takes(
    facts: Facts, method: Method
) -> None:
    await method.call(facts, facts.mine, PAGE, good_token(facts, method.scopes))


@pytest.mark.parametrize("case", CASES, ids=[f"{case.method.name}-{case.name}" for case in CASES])
async def test_who_may_not_is_told_why(facts: Facts, case: Case) -> None:
    assert await fault(case, facts) == ""


async def test_refusals_stand_in_the_audit_trail_without_the_users_name(facts: Facts) -> None:
    for case in CASES:
        await fault(case, facts)
    for service in ("catalog", "recommendations"):
        lines = await facts.streaming.mesh.audit(service)
        reasons = {line["reason"] for line in lines if line.get("decision") == "deny"}
        assert {"TOKEN_MISSING", "TOKEN_EXPIRED", "ROLE_MISSING", "SCOPE_MISSING"} <= reasons
        assert "viewer-of-refusals" not in str(lines)


async def test_catalog_and_profiles_are_asked_on_behalf_of_the_user(facts: Facts) -> None:
    system = facts.streaming
    profile = system.profiles.add("somebody-new", ADULTS)
    request = pb.ListRecommendationsRequest(profile_id=profile)
    client = system.mesh.client(RecommendationServiceClient, as_=PAGE)
    system.mesh.clock.advance(120)  # what the catalog said before is not believed any more
    await client.list_recommendations(request, token=system.token("somebody-new", WATCH))
    assert {caller for caller, user in system.profiles.asked if user == "somebody-new"} == {
        "spiffe://acme.example/recommendations",
        "spiffe://acme.example/catalog",
    }


async def test_a_lower_limit_counts_within_seconds(facts: Facts) -> None:
    system = facts.streaming
    profile = system.profiles.add("viewer-of-refusals", ADULTS)
    client = system.mesh.client(CatalogServiceClient, as_=PAGE)
    request = catalog_pb2.GetTitleRequest(profile_id=profile, title_id=ABOVE)
    await client.get_title(request, token=good_token(facts))
    system.profiles.profiles[profile][1].maturity_limit = KIDS
    system.mesh.clock.advance(KEPT + 0.1)
    with pytest.raises(TitleAboveRating):
        await client.get_title(request, token=good_token(facts))


async def test_without_identity_nobody_is_let_in_and_calling_again_helps(facts: Facts) -> None:
    system = facts.streaming
    profile = system.profiles.add("viewer-of-refusals", ADULTS)
    request = catalog_pb2.GetTitleRequest(profile_id=profile, title_id=ABOVE)
    client = system.mesh.client(CatalogServiceClient, as_=PAGE)
    recommendations = system.mesh.client(RecommendationServiceClient, as_=PAGE)
    await system.mesh.stop("identity")
    with pytest.raises(ProfilesUnavailable) as refused:
        await client.get_title(request, token=good_token(facts))
    assert refused.value.code == Code.UNAVAILABLE
    with pytest.raises(SourcesUnavailable) as gone:
        await recommendations.list_recommendations(
            pb.ListRecommendationsRequest(profile_id=profile), token=good_token(facts)
        )
    assert gone.value.message == "The profiles cannot be asked now; call again."
    await system.mesh.start("identity")
    async with asyncio.timeout(60):
        while True:
            try:
                answer = await client.get_title(request, token=good_token(facts))
                break
            except ProfilesUnavailable:
                await asyncio.sleep(0.05)
    assert answer.title.title_id == ABOVE


async def test_a_database_that_goes_away_is_told_and_found_again(facts: Facts) -> None:
    system = facts.streaming
    client = system.mesh.client(CatalogServiceClient, as_=PAGE)
    recommendations = system.mesh.client(RecommendationServiceClient, as_=PAGE)
    title = catalog_pb2.GetTitleRequest(profile_id=facts.mine, title_id=ALLOWED)
    watched = pb.ListHistoryRequest(profile_id=facts.mine)
    databases = system.state / "databases"
    away = databases.rename(system.state / "away")
    for call in (
        client.get_title(title, token=good_token(facts)),
        recommendations.list_history(watched, token=good_token(facts)),
    ):
        with pytest.raises(CallError) as refused:
            await call
        assert (refused.value.code, refused.value.reason) == (
            Code.UNAVAILABLE,
            "STORAGE_UNAVAILABLE",
        )
    away.rename(databases)
    assert (await client.get_title(title, token=good_token(facts))).title.title_id == ALLOWED
    await recommendations.list_history(watched, token=good_token(facts))


async def test_events_faster_than_a_profile_may_send_them_end_the_session(
    facts: Facts,
) -> None:
    streaming, watcher = facts.streaming, Watcher(facts.streaming)
    again = event("s5", position=position(1))

    async def without_end() -> AsyncIterator[pb.WatchRequest]:
        yield opening(watcher.profile)
        while True:
            yield again

    answered = -1
    with pytest.raises(EventRateExceeded) as refused:
        async with asyncio.timeout(60):
            async for _ in watcher.client.watch(without_end(), token=watcher.token):
                answered += 1
    assert answered >= 200
    assert refused.value.code == Code.RESOURCE_EXHAUSTED
    assert refused.value.metadata == {
        "profile_id": watcher.profile,
        "event_id": again.event.event_id,
        "events": "20",
        "seconds": "1",
    }
    assert "faster than 20 in 1 s" in str(refused.value)
    assert 0 < (refused.value.retry_after or 0) <= 1 / 20
    other = Watcher(streaming)
    assert (await other.watch(again))[-1].event_id, "others have a pace of their own"
    streaming.mesh.clock.advance(1)
    assert (await watcher.watch(again))[-1].unchanged
    assert [each.title.title_id for each in (await watcher.history()).watched_titles] == ["s5"]
