"""The pages: each is a few calls on behalf of who is signed in. Who may see what, the services say.

Which profile watches stands in the address, so that two of an account can watch in two windows.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from typing import Final, NamedTuple

from google.protobuf.duration_pb2 import Duration
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from acme.identity.v1 import identity_pb2
from acme.identity.v1.identity_mesh import ProfileServiceClient
from acme.streaming.catalog.v1 import catalog_pb2
from acme.streaming.catalog.v1.catalog_mesh import CatalogServiceClient
from acme.streaming.recommendations.v1 import recommendations_pb2 as pb
from acme.streaming.recommendations.v1.recommendations_mesh import RecommendationServiceClient
from reference.streaming.web.searching import Search, choices
from reference.web.app import Site, wants_json
from reference.web.forms import Form
from reference.web.login import Login

LIMITS: Final = {
    "kids": (identity_pb2.MATURITY_LIMIT_KIDS, "Small children"),
    "older-kids": (identity_pb2.MATURITY_LIMIT_OLDER_KIDS, "Children from 7"),
    "teens": (identity_pb2.MATURITY_LIMIT_TEENS, "Teenagers"),
    "adults": (identity_pb2.MATURITY_LIMIT_ADULTS, "Adults"),
}
"""Up to which age a profile may watch: as forms send it, and as people read it."""
SHELF: Final = 12
"""Titles on a shelf of the start page."""

NEXT: Final = 10
"""Titles to go on with, beside the one that is shown."""


class Mesh(NamedTuple):
    """The services behind the page."""

    catalog: CatalogServiceClient
    recommendations: RecommendationServiceClient
    profiles: ProfileServiceClient


class Pages:
    """Routes of the site; `routes` is for `Site.app`."""

    def __init__(self, site: Site, login: Login, mesh: Mesh) -> None:
        self._site = site
        self._login = login
        self._mesh = mesh
        self.routes = [
            Route("/", self._start),
            Route("/profiles", self._profiles, methods=["GET"]),
            Route("/profiles", self._add_profile, methods=["POST"]),
            Route("/p/{profile_id:uuid}", self._home),
            Route("/p/{profile_id:uuid}/search", self._search),
            Route("/p/{profile_id:uuid}/titles/{title_id}", self._title),
            Route("/p/{profile_id:uuid}/titles/{title_id}/events", self._event, methods=["POST"]),
            Route("/p/{profile_id:uuid}/history", self._history, methods=["GET"]),
            Route("/p/{profile_id:uuid}/history", self._forget, methods=["POST"]),
        ]

    async def _start(self, request: Request) -> Response:
        if self._login.user_if_any(request) is None:
            return self._site.page(request, "welcome.html")
        return RedirectResponse("/profiles", 303)

    async def _profiles(self, request: Request) -> Response:
        token = await self._login.user(request).token()
        found = await self._mesh.profiles.list_profiles(
            identity_pb2.ListProfilesRequest(page_size=20), token=token
        )
        words = dict(LIMITS.values())
        return self._site.page(
            request,
            "profiles.html",
            {
                "profiles": [(each, words.get(each.maturity_limit, "")) for each in found.profiles],
                "limits": {name: label for name, (_, label) in LIMITS.items()},
                "request_id": str(uuid.uuid4()),
            },
        )

    async def _add_profile(self, request: Request) -> Response:
        user, form = await self._login.form(request)
        limit = LIMITS.get(form.get("limit", ""))
        if limit is None:
            raise HTTPException(400, "Choose up to which age the profile may watch.")
        profile = identity_pb2.Profile(
            display_name=form.get("name", "").strip(), maturity_limit=limit[0]
        )
        await self._mesh.profiles.create_profile(
            identity_pb2.CreateProfileRequest(
                request_id=form.get("request_id", ""), profile=profile
            ),
            token=await user.token(),
        )
        return RedirectResponse("/profiles", 303)

    async def _home(self, request: Request) -> Response:
        profile_id, token = await self._viewer(request)
        listing = pb.ListRecommendationsRequest(profile_id=profile_id, page_size=2 * SHELF)
        looking = pb.ListHistoryRequest(profile_id=profile_id, page_size=SHELF)
        listed, watched = await asyncio.gather(
            self._mesh.recommendations.list_recommendations(listing, token=token),
            self._mesh.recommendations.list_history(looking, token=token),
        )
        return self._page(
            request,
            "home.html",
            {
                "begun": [each for each in watched.watched_titles if _goes_on(each)],
                "names": _names(watched),
                "recommendations": listed.recommendations,
            },
        )

    async def _search(self, request: Request) -> Response:
        profile_id, token = await self._viewer(request)
        search = Search.of(request.query_params)
        asked = catalog_pb2.SearchTitlesRequest(
            profile_id=profile_id,
            query=search.query,
            filter=search.filter,
            page_token=request.query_params.get("page_token", ""),
        )
        counted = catalog_pb2.GetFacetsRequest(
            profile_id=profile_id, query=search.query, filter=search.filter
        )
        found, facets = await asyncio.gather(
            self._mesh.catalog.search_titles(asked, token=token),
            self._mesh.catalog.get_facets(counted, token=token),
        )
        more = found.next_page_token
        return self._page(
            request,
            "search.html",
            {
                "search": search,
                "chosen": search._asdict(),
                "choices": choices(facets),
                "total": facets.total,
                "titles": found.titles,
                "next": search.address(more) if more else "",
            },
        )

    async def _title(self, request: Request) -> Response:
        profile_id, token = await self._viewer(request)
        title_id = str(request.path_params["title_id"])
        asked = catalog_pb2.GetTitleRequest(profile_id=profile_id, title_id=title_id)
        listing = pb.ListRecommendationsRequest(profile_id=profile_id, page_size=NEXT + 1)
        found, listed = await asyncio.gather(
            self._mesh.catalog.get_title(asked, token=token),
            self._mesh.recommendations.list_recommendations(listing, token=token),
        )
        title = found.title
        following = [each for each in listed.recommendations if each.title.title_id != title_id]
        return self._page(
            request,
            "title.html",
            {
                "title": title,
                "seconds": (title.runtime_minutes or 60) * 60,
                "recommendations": following[:NEXT],
            },
        )

    async def _event(self, request: Request) -> Response:
        """Something was played: from a form, which leads back, or from the script of the page."""
        user, form = await self._login.form(request)
        profile_id, title_id = (
            str(request.path_params["profile_id"]),
            request.path_params["title_id"],
        )
        said = _event(str(title_id), form)
        answer = await self._told(profile_id, said, await user.token())
        if not wants_json(request):
            return RedirectResponse(f"/p/{profile_id}/titles/{title_id}", 303)
        return JSONResponse(
            {
                "eventId": answer.event_id,
                "nextUp": [
                    {"titleId": each.title.title_id, "name": each.title.display_name}
                    for each in answer.next_recommendations
                ],
            }
        )

    async def _told(self, profile_id: str, said: pb.PlaybackEvent, token: str) -> pb.WatchResponse:
        """Tells one event in a session of its own, and gives the answer to it."""

        async def messages() -> AsyncIterator[pb.WatchRequest]:
            yield pb.WatchRequest(open=pb.OpenSession(profile_id=profile_id))
            yield pb.WatchRequest(event=said)

        last = pb.WatchResponse()
        async for answer in self._mesh.recommendations.watch(messages(), token=token, timeout=10):
            last = answer
        return last

    async def _history(self, request: Request) -> Response:
        profile_id, token = await self._viewer(request)
        asked = pb.ListHistoryRequest(
            profile_id=profile_id,
            page_size=50,
            page_token=request.query_params.get("page_token", ""),
        )
        found = await self._mesh.recommendations.list_history(asked, token=token)
        return self._page(
            request,
            "history.html",
            {"watched": found.watched_titles, "next": found.next_page_token},
        )

    async def _forget(self, request: Request) -> Response:
        user, _ = await self._login.form(request)
        profile_id = str(request.path_params["profile_id"])
        await self._mesh.recommendations.delete_history(
            pb.DeleteHistoryRequest(profile_id=profile_id), token=await user.token()
        )
        return RedirectResponse(f"/p/{profile_id}/history", 303)

    async def _viewer(self, request: Request) -> tuple[str, str]:
        """The profile of the address, and the token of who is signed in."""
        user = self._login.user(request)
        return str(request.path_params["profile_id"]), await user.token()

    def _page(self, request: Request, template: str, values: dict[str, object]) -> Response:
        profile_id = str(request.path_params["profile_id"])
        return self._site.page(request, template, {"profile": f"/p/{profile_id}", **values})


def _event(title_id: str, form: Form) -> pb.PlaybackEvent:
    """The event in a form; 400 for what no form of ours sends. The rest is the service's to say."""
    said = pb.PlaybackEvent(event_id=form.get("event_id") or str(uuid.uuid4()), title_id=title_id)
    value = form.get("value", "0")
    if not (value.isascii() and value.isdigit() and len(value) <= 7):
        raise HTTPException(400, "The value is a number.")
    match form.get("kind"):
        case "started":
            said.started.SetInParent()
        case "position":
            said.position.position.CopyFrom(Duration(seconds=int(value)))
        case "finished":
            said.finished.SetInParent()
        case "rated":
            said.rated.stars = int(value)
        case _:
            raise HTTPException(400, "The kind is started, position, finished or rated.")
    return said


def _goes_on(watched: pb.WatchedTitle) -> bool:
    return not watched.finished and bool(watched.title.display_name)


def _names(watched: pb.ListHistoryResponse) -> dict[str, str]:
    return {each.title.title_id: each.title.display_name for each in watched.watched_titles}
