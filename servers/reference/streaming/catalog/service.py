"""The catalog's service: what its callers may see of the titles."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial
from typing import Final

from acme.streaming.catalog.v1 import catalog_pb2 as pb
from acme.streaming.catalog.v1.catalog_mesh import (
    CatalogServiceBase,
    ProfileDenied,
    ProfilesUnavailable,
    TitleAboveRating,
    TitleUnknown,
)
from meshpact.servers.codegen import Call
from meshpact.servers.paging import PageTokens, page_size
from meshpact.servers.storage.database import Database
from reference.streaming.catalog import finding
from reference.streaming.profiles import NotNow, NotYours, Profiles, Viewer

EXPORTED: Final = 200
"""Titles in one message of an export."""
FACET_VALUES: Final = 50


class CatalogService(CatalogServiceBase):
    """Shows the titles of one database, in the state that `version` names."""

    def __init__(
        self, database: Database, version: str, profiles: Profiles, tokens: PageTokens
    ) -> None:
        self._database = database
        self._version = version
        self._profiles = profiles
        self._tokens = tokens

    async def search_titles(
        self, request: pb.SearchTitlesRequest, call: Call, /
    ) -> pb.SearchTitlesResponse:
        viewer = await self._viewer(request.profile_id, call)
        wanted = _wanted(request.query, request.filter, viewer)._replace(order=request.order_by)
        size = page_size(request.page_size, call.info.policy)
        key = self._tokens.start(request, call)
        after = None if key is None else (int(key[0]), int(key[1]))
        found = await self._database.read(
            lambda connection: finding.search(connection, wanted, after, size + 1)
        )
        here, more = self._tokens.page(request, call, found, size, lambda title: title.key)
        return pb.SearchTitlesResponse(
            titles=[pb.Title.FromString(each.message) for each in here], next_page_token=more
        )

    async def get_facets(self, request: pb.GetFacetsRequest, call: Call, /) -> pb.GetFacetsResponse:
        viewer = await self._viewer(request.profile_id, call)
        wanted = _wanted(request.query, request.filter, viewer)
        total, counts = await self._database.read(
            lambda connection: finding.facets(connection, wanted)
        )
        return pb.GetFacetsResponse(
            total=total,
            types=_counts([(_type_name(series), count) for series, count in counts["series"]]),
            genres=_counts(counts["genre"]),
            ratings=_counts(counts["rating"]),
            decades=_counts(counts["decade"]),
            countries=_counts(counts["country"]),
        )

    async def get_title(self, request: pb.GetTitleRequest, call: Call, /) -> pb.GetTitleResponse:
        viewer = await self._viewer(request.profile_id, call)
        found = await self._database.read(
            lambda connection: finding.one(connection, request.title_id)
        )
        if found is None:
            raise TitleUnknown(title_id=request.title_id)
        minimum_age, message = found
        if minimum_age > viewer.maximum_age:
            raise TitleAboveRating(
                title_id=request.title_id,
                minimum_age=minimum_age,
                profile_id=request.profile_id,
                maximum_age=viewer.maximum_age,
            )
        return pb.GetTitleResponse(title=pb.Title.FromString(message))

    async def batch_get_titles(
        self, request: pb.BatchGetTitlesRequest, call: Call, /
    ) -> pb.BatchGetTitlesResponse:
        viewer = await self._viewer(request.profile_id, call)
        asked = list(dict.fromkeys(request.title_ids))
        found = await self._database.read(
            lambda connection: finding.by_id(connection, asked, viewer.maximum_age)
        )
        return pb.BatchGetTitlesResponse(
            titles=[pb.Title.FromString(found[each]) for each in asked if each in found]
        )

    async def export_titles(
        self, request: pb.ExportTitlesRequest, call: Call, /
    ) -> AsyncIterator[pb.ExportTitlesResponse]:
        place = 0
        while request.known_version != self._version:
            work = partial(finding.slice_after, place=place, most=EXPORTED)
            place, found = await self._database.read(work)
            if not found:
                return
            yield pb.ExportTitlesResponse(
                titles=map(pb.Title.FromString, found), catalog_version=self._version
            )

    async def _viewer(self, profile_id: str, call: Call) -> Viewer:
        try:
            return await self._profiles.viewer(profile_id, call)
        except NotYours:
            raise ProfileDenied(profile_id=profile_id) from None
        except NotNow as error:
            raise ProfilesUnavailable from error


def _wanted(query: str, chosen: pb.TitleFilter, viewer: Viewer) -> finding.Wanted:
    return finding.Wanted(
        age=viewer.maximum_age,
        query=query,
        series=tuple(each == pb.TITLE_TYPE_SERIES for each in chosen.types),
        genre=tuple(chosen.genres),
        rating=tuple(chosen.ratings),
        decade=tuple(chosen.decades),
        country=tuple(chosen.countries),
    )


def _type_name(series: bool) -> str:
    return pb.TitleType.Name(pb.TITLE_TYPE_SERIES if series else pb.TITLE_TYPE_MOVIE)


def _counts(found: list[tuple[object, int]]) -> list[pb.FacetCount]:
    return [pb.FacetCount(value=str(value), count=count) for value, count in found[:FACET_VALUES]]
