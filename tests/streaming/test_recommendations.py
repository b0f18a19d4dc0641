"""Recommendations: from what was watched, within the age, kept once, forgotten when asked."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from acme.streaming.recommendations.v1 import recommendations_pb2 as pb
from acme.streaming.recommendations.v1.recommendations_mesh import (
    EventInFuture,
    EventReused,
    SessionNotOpen,
    TitleAboveRating,
    TitleUnknown,
)
from meshpact.clients import CallError
from meshpact.interceptors.errors import Code
from streaming.watcher import Watcher, at, position
from streamingmesh import (
    KIDS,
    Streaming,
    catalog_titles,
    event,
    opening,
    session,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")

STARTED = pb.PlaybackStarted()
FINISHED = pb.PlaybackFinished()
BY_ID = {title.title_id: title for title in catalog_titles()}
BY_NAME = {title.display_name: title for title in catalog_titles()}


@pytest_asyncio.fixture(loop_scope="module")
async def watcher(streaming: Streaming) -> Watcher:
    return Watcher(streaming)


@pytest_asyncio.fixture(loop_scope="module")
async def kid(streaming: Streaming) -> Watcher:
    return Watcher(streaming, KIDS)


async def test_who_watched_nothing_is_recommended_what_is_popular_or_new(watcher: Watcher) -> None:
    answer = await watcher.listed()
    assert len(answer.recommendations) == 20
    assert {each.basis for each in answer.recommendations} == {pb.RECOMMENDATION_BASIS_POPULAR}
    assert answer.model_version.startswith("1-")
    newest = answer.recommendations[0].title
    assert newest == BY_ID[newest.title_id]
    assert (newest.add_date.year, newest.add_date.month) == (2021, 9)


async def test_newcomers_share_a_list_and_no_page_token(
    watcher: Watcher, kid: Watcher, streaming: Streaming
) -> None:
    other = Watcher(streaming)
    mine, theirs = await watcher.listed(page_size=5), await other.listed(page_size=5)
    assert mine.recommendations == theirs.recommendations
    assert mine.recommendations != (await kid.listed(page_size=5)).recommendations
    assert (await watcher.listed(page_size=5, page_token=mine.next_page_token)).recommendations
    with pytest.raises(CallError) as refused:
        await watcher.listed(page_size=5, page_token=theirs.next_page_token)
    assert refused.value.reason == "INVALID_REQUEST"
    assert "is not one that this list gave to this caller" in refused.value.message
    await other.watch(event(mine.recommendations[0].title.title_id, finished=FINISHED))
    assert (await watcher.listed(page_size=5)).recommendations == mine.recommendations
    assert (await other.listed(page_size=5)).recommendations != mine.recommendations


async def test_what_was_watched_brings_titles_that_are_like_it(watcher: Watcher) -> None:
    narcos = BY_NAME["Narcos"].title_id
    await watcher.watch(event(narcos, finished=FINISHED))
    first = (await watcher.listed()).recommendations[0]
    assert first.title.display_name == "Narcos: Mexico"
    assert (first.basis, first.because_title_id) == (pb.RECOMMENDATION_BASIS_SIMILAR, narcos)
    scores = [each.score for each in (await watcher.listed()).recommendations]
    assert scores == sorted(scores, reverse=True)


async def test_a_title_that_was_begun_is_not_recommended_again(watcher: Watcher) -> None:
    await watcher.watch(event(BY_NAME["Narcos"].title_id, finished=FINISHED))
    next_one = (await watcher.listed()).recommendations[0].title.title_id
    [_, answer] = await watcher.watch(event(next_one, started=STARTED))
    listed = (await watcher.listed(page_size=100)).recommendations
    assert next_one not in {each.title.title_id for each in [*listed, *answer.next_recommendations]}


async def test_what_one_watches_now_is_not_next_even_if_the_event_counts_no_more(
    watcher: Watcher,
) -> None:
    first = (await watcher.listed()).recommendations[0].title.title_id
    await watcher.watch(event(first, started=STARTED))
    await watcher.forget()
    late = event(first, finished=FINISHED, event_time=at(-60))
    [before, answer] = await watcher.watch(late)
    assert answer.unchanged
    assert first in {each.title.title_id for each in before.next_recommendations}
    assert first not in {each.title.title_id for each in answer.next_recommendations}
    assert len(answer.next_recommendations) == 10


@pytest.mark.parametrize(
    ("field", "said"),
    [
        ("event_time.seconds", {"event_time": Timestamp(seconds=-(2**63)), "started": STARTED}),
        ("event_time.seconds", {"event_time": Timestamp(seconds=2**63 - 1), "started": STARTED}),
        ("event_time.nanos", {"event_time": Timestamp(nanos=2**31 - 1), "started": STARTED}),
        ("event_time.nanos", {"event_time": Timestamp(seconds=5, nanos=-5), "started": STARTED}),
        (
            "position.position.nanos",
            {"position": pb.PlaybackPosition(position=Duration(seconds=5, nanos=-5))},
        ),
    ],
)
async def test_a_time_that_is_none_is_refused_by_its_field(
    watcher: Watcher, field: str, said: dict[str, Any]
) -> None:
    with pytest.raises(CallError) as refused:
        await watcher.watch(event("s5", **said))
    assert (refused.value.code, refused.value.reason) == (Code.INVALID_ARGUMENT, "INVALID_REQUEST")
    assert f"field 'event.{field}' must be from " in refused.value.message
    assert not (await watcher.history()).watched_titles


async def test_a_bad_rating_speaks_against_titles_like_it(watcher: Watcher) -> None:
    pokemon = BY_NAME["Pokémon Journeys: The Series"].title_id
    await watcher.watch(event(pokemon, rated=pb.TitleRated(stars=5)))
    liked = {each.title.title_id for each in (await watcher.listed()).recommendations}
    await watcher.watch(event(pokemon, rated=pb.TitleRated(stars=1)))
    assert not liked & {
        each.title.title_id for each in (await watcher.listed()).recommendations[:5]
    }


async def test_nothing_above_the_age_is_recommended(kid: Watcher) -> None:
    await kid.watch(event(_for_kids(), started=STARTED))
    listed = await kid.listed(page_size=100)
    assert len(listed.recommendations) == 100
    assert {each.title.minimum_age for each in listed.recommendations} == {0}


def _for_kids() -> str:
    return next(each.title_id for each in catalog_titles() if each.minimum_age == 0)


async def test_a_session_answers_each_event_with_what_to_watch_next(watcher: Watcher) -> None:
    narcos = BY_NAME["Narcos"].title_id
    ids = [str(uuid.uuid4()) for _ in range(4)]
    answers = await watcher.watch(
        event(narcos, ids[0], started=STARTED),
        event(narcos, ids[1], position=position(600)),
        event(narcos, ids[2], finished=FINISHED),
        event(narcos, ids[3], rated=pb.TitleRated(stars=5)),
    )
    assert [each.event_id for each in answers] == ["", *ids]
    assert [len(each.next_recommendations) for each in answers] == [10, 10, 0, 10, 10]
    assert not any(each.unchanged for each in answers)
    assert answers[3].next_recommendations[0].title.display_name == "Narcos: Mexico"
    [kept] = (await watcher.history()).watched_titles
    assert (kept.title, kept.finished, kept.stars) == (BY_ID[narcos], True, 5)
    assert kept.position.seconds == 600


async def test_an_answer_comes_before_the_next_event_is_sent(watcher: Watcher) -> None:
    sent: asyncio.Queue[pb.WatchRequest | None] = asyncio.Queue()

    async def messages() -> AsyncIterator[pb.WatchRequest]:
        while (message := await sent.get()) is not None:
            yield message

    answers = watcher.client.watch(messages(), token=watcher.token)
    for message in (opening(watcher.profile), event("s5", started=STARTED)):
        await sent.put(message)
        answer = await anext(answers)
        assert answer.event_id == message.event.event_id
    await sent.put(None)
    assert [each async for each in answers] == []


async def test_an_event_that_comes_again_is_kept_once(watcher: Watcher) -> None:
    rated = event("s5", rated=pb.TitleRated(stars=4), event_time=at(-5))
    both = await watcher.watch(rated, event("s5", rated=pb.TitleRated(stars=2)), rated)
    assert [each.unchanged for each in both] == [False, False, False, True]
    [again] = (await watcher.watch(rated))[1:]
    assert (again.event_id, again.unchanged) == (rated.event.event_id, True)
    assert (await watcher.history()).watched_titles[0].stars == 2


async def test_an_event_id_of_another_event_is_refused(watcher: Watcher) -> None:
    used = event("s5", started=STARTED)
    other = event("s6", used.event.event_id, started=STARTED)
    with pytest.raises(EventReused) as refused:
        await watcher.watch(used, other)
    assert (refused.value.code, refused.value.message) == (
        Code.ALREADY_EXISTS,
        f"The event_id {used.event.event_id} was used before with other content; take a new one.",
    )
    assert [each.title.title_id for each in (await watcher.history()).watched_titles] == ["s5"]


async def test_an_event_of_another_profile_may_have_the_same_id(streaming: Streaming) -> None:
    one, other = Watcher(streaming), Watcher(streaming)
    await one.watch(event("s5", started=STARTED))
    same = event("s6", str(uuid.uuid4()), started=STARTED)
    await one.watch(same)
    assert not (await other.watch(same))[1].unchanged


async def test_late_events_do_not_turn_back_what_is_known(watcher: Watcher) -> None:
    await watcher.watch(
        event("s5", position=position(900), event_time=at(-10)),
        event("s5", position=position(100), event_time=at(-60)),
        event("s5", finished=FINISHED, event_time=at(-30)),
        event("s5", started=STARTED, event_time=at(-90)),
    )
    [kept] = (await watcher.history()).watched_titles
    assert (kept.position.seconds, kept.finished) == (900, True)


async def test_an_event_far_in_the_future_is_refused(watcher: Watcher) -> None:
    ahead = event("s5", started=STARTED, event_time=at(3600))
    with pytest.raises(EventInFuture) as refused:
        await watcher.watch(ahead)
    assert refused.value.code == Code.INVALID_ARGUMENT
    assert refused.value.event_id == ahead.event.event_id
    assert 3590 <= int(refused.value.seconds) <= 3600
    assert not (await watcher.history()).watched_titles


async def test_a_title_above_the_age_cannot_be_played(kid: Watcher) -> None:
    above = BY_NAME["Narcos"]
    with pytest.raises(TitleAboveRating) as refused:
        await kid.watch(event(above.title_id, started=STARTED))
    assert (refused.value.code, refused.value.message) == (
        Code.PERMISSION_DENIED,
        f"The title {above.title_id} is for ages 17 and up; the profile {kid.profile} "
        "is for ages up to 6.",
    )
    assert not (await kid.history()).watched_titles


async def test_a_title_that_is_not_there_cannot_be_played(watcher: Watcher) -> None:
    with pytest.raises(TitleUnknown) as refused:
        await watcher.watch(event("s99999", started=STARTED))
    assert (refused.value.code, refused.value.title_id) == (Code.NOT_FOUND, "s99999")


async def test_a_session_must_be_opened_once_and_first(watcher: Watcher) -> None:
    with pytest.raises(SessionNotOpen):
        first = session(event("s5", started=STARTED))
        [each async for each in watcher.client.watch(first, token=watcher.token)]
    with pytest.raises(SessionNotOpen) as refused:
        await watcher.watch(opening(watcher.profile))
    assert refused.value.code == Code.FAILED_PRECONDITION
    assert [each async for each in watcher.client.watch(session(), token=watcher.token)] == []


async def test_a_history_is_listed_the_latest_first_and_forgotten_when_asked(
    watcher: Watcher,
) -> None:
    events = [event(f"s{n}", started=STARTED, event_time=at(-n)) for n in range(1, 8)]
    await watcher.watch(*events)
    listed = await watcher.history()
    assert [each.title.title_id for each in listed.watched_titles] == [f"s{n}" for n in range(1, 8)]
    assert await watcher.forget() == 7
    assert not (await watcher.history()).watched_titles
    assert {each.basis for each in (await watcher.listed()).recommendations} == {
        pb.RECOMMENDATION_BASIS_POPULAR
    }
    assert await watcher.forget() == 0


async def test_events_from_before_a_deletion_stay_forgotten(watcher: Watcher) -> None:
    late = event("s6", started=STARTED, event_time=at(-1))
    known = event("s5", started=STARTED, event_time=at(-2))
    await watcher.watch(known)
    await watcher.forget()
    assert [each.unchanged for each in await watcher.watch(late, known)] == [False, True, True]
    assert not (await watcher.history()).watched_titles
    assert not (await watcher.watch(event("s7", started=STARTED)))[1].unchanged
    assert len((await watcher.history()).watched_titles) == 1


@given(sizes=st.lists(st.integers(min_value=1, max_value=60), min_size=1, max_size=5))
@settings(
    max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
async def test_pages_of_any_size_stand_as_the_list_was_at_first(
    streaming: Streaming, sizes: list[int]
) -> None:
    watcher = Watcher(streaming)
    whole = [each.title.title_id for each in (await watcher.listed(page_size=100)).recommendations]
    assert len(set(whole)) == 100
    seen: list[str] = []
    token, turn = "", 0
    while turn == 0 or token:
        page = await watcher.listed(page_size=sizes[turn % len(sizes)], page_token=token)
        seen += [each.title.title_id for each in page.recommendations]
        token, turn = page.next_page_token, turn + 1
        # Whatever is watched meanwhile changes the next list, not this one.
        await watcher.watch(event(whole[-turn], finished=FINISHED))
    assert seen == whole


@given(
    events=st.lists(
        st.tuples(st.integers(0, 3), st.integers(1, 6), st.sampled_from("spfr"), st.integers(1, 5)),
        min_size=1,
        max_size=12,
    ),
    size=st.integers(1, 4),
)
@settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
async def test_a_history_in_pages_has_each_title_once(
    streaming: Streaming, events: list[tuple[int, int, str, int]], size: int
) -> None:
    watcher = Watcher(streaming)
    kinds: dict[str, dict[str, Any]] = {
        "s": {"started": STARTED},
        "p": {"position": position(60)},
        "f": {"finished": FINISHED},
    }
    for number, ago, kind, stars in events:
        said = kinds.get(kind, {"rated": pb.TitleRated(stars=stars)})
        await watcher.watch(event(f"s{number + 1}", event_time=at(-100 * ago), **said))
    seen: list[str] = []
    times: list[int] = []
    token = ""
    while True:
        page = await watcher.history(page_size=size, page_token=token)
        seen += [each.title.title_id for each in page.watched_titles]
        times += [each.last_watch_time.ToMicroseconds() for each in page.watched_titles]
        token = page.next_page_token
        if not token:
            break
    assert sorted(seen) == sorted({f"s{number + 1}" for number, *_ in events})
    assert times == sorted(times, reverse=True)


async def test_a_session_ends_when_its_token_does(streaming: Streaming) -> None:
    watcher = Watcher(streaming)
    token = streaming.token(watcher.user, lifetime=300)
    sent: asyncio.Queue[pb.WatchRequest] = asyncio.Queue()

    async def messages() -> AsyncIterator[pb.WatchRequest]:
        while True:
            yield await sent.get()

    answers = watcher.client.watch(messages(), token=token)
    await sent.put(opening(watcher.profile))
    await anext(answers)
    streaming.mesh.clock.advance(301)
    with pytest.raises(CallError) as refused:
        await anext(answers)
    assert refused.value.code == Code.UNAUTHENTICATED
    assert refused.value.reason == "TOKEN_EXPIRED"
    assert refused.value.message == "Unauthenticated: the token has expired"
