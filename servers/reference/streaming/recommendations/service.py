"""The service of recommendations: lists, sessions, histories."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator, Generator, Sequence
from typing import Final

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from acme.streaming.catalog.v1 import catalog_pb2
from acme.streaming.recommendations.v1 import recommendations_pb2 as pb
from acme.streaming.recommendations.v1.recommendations_mesh import (
    EventRateExceeded,
    EventReused,
    ProfileDenied,
    RecommendationServiceBase,
    SessionNotOpen,
    SourcesUnavailable,
    TitleAboveRating,
    TitleUnknown,
)
from meshpact.servers.codegen import Call
from meshpact.servers.pacing import Pace
from meshpact.servers.paging import PageTokens, page_size
from meshpact.servers.storage.database import Database
from reference.streaming.profiles import NotNow, NotYours, Profiles, Viewer
from reference.streaming.recommendations import history, playback
from reference.streaming.recommendations.library import (
    CatalogNotNow,
    Library,
    NoSuchTitle,
    TooYoung,
)
from reference.streaming.recommendations.ranking import First, Ranked, Ranking
from reference.streaming.recommendations.taste import Pick

NEXT_UP: Final = 10
"""Titles that a session is told to watch next."""
EVENTS: Final = 20
"""Events that a profile may send a second in all its sessions, as the contract has it."""
EVENTS_AT_ONCE: Final = 200


class RecommendationService(RecommendationServiceBase):
    """Recommends, and keeps what was watched."""

    def __init__(
        self,
        database: Database,
        profiles: Profiles,
        library: Library,
        ranking: Ranking,
        tokens: PageTokens,
    ) -> None:
        self._database = database
        self._profiles = profiles
        self._library = library
        self._ranking = ranking
        self._tokens = tokens
        self._pace = Pace(EVENTS, 1.0, burst=EVENTS_AT_ONCE)

    async def list_recommendations(
        self, request: pb.ListRecommendationsRequest, call: Call, /
    ) -> pb.ListRecommendationsResponse:
        with _refusals(request.profile_id):
            viewer = await self._profiles.viewer(request.profile_id, call)
            ranked = await self._ranking.of(viewer)
            size = page_size(request.page_size, call.info.policy)
            if request.page_token:
                return await self._page(request, call, viewer, ranked, size)
            known = size, call.caller.workload
            if known not in ranked.answers:
                ranked.answers[known] = await self._first(request, call, viewer, ranked, size)
            return ranked.answers[known]

    async def _first(
        self,
        request: pb.ListRecommendationsRequest,
        call: Call,
        viewer: Viewer,
        ranked: Ranked,
        size: int,
    ) -> pb.ListRecommendationsResponse:
        found = ranked.firsts.pages.get(size)
        if found is None:
            async with ranked.firsts.lock:
                found = ranked.firsts.pages.get(size)
                if found is None:
                    found = await self._shown_page(ranked.picks, ranked.version, viewer, size)
                    ranked.firsts.pages[size] = found
        answer = pb.ListRecommendationsResponse()
        answer.CopyFrom(found.answer)
        if found.rest:
            answer.next_page_token = self._tokens.next(request, call, (found.rest,))
        return answer

    async def _page(
        self,
        request: pb.ListRecommendationsRequest,
        call: Call,
        viewer: Viewer,
        ranked: Ranked,
        size: int,
    ) -> pb.ListRecommendationsResponse:
        key = self._tokens.start(request, call)
        known = {pick.title_id: pick for pick in ranked.picks}
        todo = str(key[0]).split(",") if key else []
        picks = [known.get(each, Pick(each, _LEAST)) for each in todo]
        answer, rest = await self._shown_page(picks, ranked.version, viewer, size)
        if rest:
            answer.next_page_token = self._tokens.next(request, call, (rest,))
        return answer

    async def _shown_page(
        self, picks: Sequence[Pick], version: str, viewer: Viewer, size: int
    ) -> First:
        answer = pb.ListRecommendationsResponse(
            recommendations=await self._shown(picks[:size], viewer), model_version=version
        )
        return First(answer, ",".join(each.title_id for each in picks[size:]))

    async def watch(
        self, requests: AsyncIterator[pb.WatchRequest], call: Call, /
    ) -> AsyncIterator[pb.WatchResponse]:
        opened = await anext(requests, None)
        if opened is None:
            return
        if opened.WhichOneof("message") != "open":
            raise SessionNotOpen
        profile_id = opened.open.profile_id
        with _refusals(profile_id):
            viewer = await self._profiles.viewer(profile_id, call)
            yield await self._next_up(viewer)
            async for message in requests:
                if message.WhichOneof("message") != "event":
                    raise SessionNotOpen
                self._keep_pace(message.event, viewer)
                # Again: the profile may be gone, or may see less than when the session began.
                viewer = await self._profiles.viewer(profile_id, call)
                yield await self._kept(message.event, viewer)

    def _keep_pace(self, said: pb.PlaybackEvent, viewer: Viewer) -> None:
        wait = self._pace.take(viewer.profile_id)
        if wait:
            refused = EventRateExceeded(
                profile_id=viewer.profile_id, event_id=said.event_id, events=EVENTS, seconds=1
            )
            refused.retry_after = wait
            raise refused

    async def list_history(
        self, request: pb.ListHistoryRequest, call: Call, /
    ) -> pb.ListHistoryResponse:
        with _refusals(request.profile_id):
            viewer = await self._profiles.viewer(request.profile_id, call)
            size = page_size(request.page_size, call.info.policy)
            key = self._tokens.start(request, call)
            last = None if key is None else (int(key[0]), str(key[1]))
            found = await self._database.read(
                lambda connection: history.page(connection, viewer.profile_id, last, size + 1)
            )
            plays, more = self._tokens.page(
                request, call, found, size, lambda play: (play.time, play.title_id)
            )
            titles = await self._library.several([play.title_id for play in plays], viewer)
            return pb.ListHistoryResponse(
                watched_titles=[_watched(play, titles.get(play.title_id)) for play in plays],
                next_page_token=more,
            )

    async def delete_history(
        self, request: pb.DeleteHistoryRequest, call: Call, /
    ) -> pb.DeleteHistoryResponse:
        with _refusals(request.profile_id):
            viewer = await self._profiles.viewer(request.profile_id, call)
        now = _now()
        try:
            deleted = await self._database.write(
                lambda connection: history.forget(connection, viewer.profile_id, now)
            )
        finally:
            self._ranking.forget(viewer.profile_id)
        return pb.DeleteHistoryResponse(deleted_titles=deleted)

    async def _kept(self, said: pb.PlaybackEvent, viewer: Viewer) -> pb.WatchResponse:
        now = _now()
        event, timed = playback.event(said, now)
        try:
            await self._library.one(event.title_id, viewer)
        except NoSuchTitle:
            raise TitleUnknown(title_id=event.title_id) from None
        except TooYoung as error:
            raise TitleAboveRating(
                title_id=event.title_id,
                minimum_age=error.minimum_age,
                profile_id=viewer.profile_id,
                maximum_age=viewer.maximum_age,
            ) from None
        self._ranking.changes(viewer.profile_id)
        try:
            new = await self._database.write(
                lambda connection: history.keep(connection, viewer.profile_id, event, timed, now)
            )
        except history.EventReused:
            raise EventReused(event_id=said.event_id) from None
        finally:
            self._ranking.forget(viewer.profile_id)
        if event.kind == "position":
            answer = pb.WatchResponse()
        else:
            answer = await self._next_up(viewer, event.title_id)
        answer.event_id = said.event_id
        answer.unchanged = not new
        return answer

    async def _next_up(self, viewer: Viewer, watched: str = "") -> pb.WatchResponse:
        ranked = await self._ranking.of(viewer)
        picks = [pick for pick in ranked.picks[: NEXT_UP + 1] if pick.title_id != watched]
        return pb.WatchResponse(
            next_recommendations=await self._shown(picks[:NEXT_UP], viewer),
            model_version=ranked.version,
        )

    async def _shown(self, picks: Sequence[Pick], viewer: Viewer) -> list[pb.Recommendation]:
        titles = await self._library.several([pick.title_id for pick in picks], viewer)
        return [
            pb.Recommendation(
                title=titles[pick.title_id],
                basis=_basis(pick),
                because_title_id=pick.because,
                score=pick.score,
            )
            for pick in picks
            if pick.title_id in titles
        ]


_LEAST: Final = 1e-6
"""The score of what stands in a list no more."""


@contextlib.contextmanager
def _refusals(profile_id: str) -> Generator[None]:
    """What those that are asked say, as this service's own refusals."""
    try:
        yield
    except NotYours:
        raise ProfileDenied(profile_id=profile_id) from None
    except NotNow as error:
        raise SourcesUnavailable(source="profiles") from error
    except CatalogNotNow as error:
        raise SourcesUnavailable(source="catalog") from error


def _basis(pick: Pick) -> pb.RecommendationBasis.ValueType:
    if pick.because:
        return pb.RECOMMENDATION_BASIS_SIMILAR
    return pb.RECOMMENDATION_BASIS_POPULAR


def _watched(play: history.Play, title: catalog_pb2.Title | None) -> pb.WatchedTitle:
    last, position = Timestamp(), Duration()
    last.FromMicroseconds(play.time)
    position.FromMilliseconds(play.position_ms)
    return pb.WatchedTitle(
        title=title or catalog_pb2.Title(title_id=play.title_id),
        last_watch_time=last,
        position=position,
        finished=play.finished,
        stars=play.stars,
    )


def _now() -> int:
    return time.time_ns() // 1000
