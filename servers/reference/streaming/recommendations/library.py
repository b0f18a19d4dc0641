"""The titles that recommendations speak of, asked of the catalog on behalf of the call's user.

What the catalog showed to one user is remembered for all, by its facts alone: the age of whoever
asks is held against it each time.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from typing import Final

from acme.streaming.catalog.v1 import catalog_pb2 as pb
from acme.streaming.catalog.v1.catalog_mesh import (
    CatalogServiceClient,
    ProfileDenied,
    ProfilesUnavailable,
    TitleAboveRating,
    TitleUnknown,
)
from meshpact.clients import CallError
from reference.streaming.profiles import NotYours, Viewer

KEPT: Final = 60.0
"""Seconds for which a title's facts are believed."""
MOST: Final = 10_000
AT_ONCE: Final = 200
"""Titles that one call to the catalog asks for."""


class CatalogNotNow(Exception):
    """The catalog cannot be asked."""


class NoSuchTitle(Exception):
    """The catalog does not have the title."""


class TooYoung(Exception):
    """The title is above the viewer's age; `minimum_age` is the title's."""

    def __init__(self, minimum_age: int) -> None:
        super().__init__(minimum_age)
        self.minimum_age = minimum_age


class Library:
    """Titles, from memory or from the catalog. Made inside the event loop."""

    def __init__(self, catalog: CatalogServiceClient) -> None:
        self._catalog = catalog
        self._clock = asyncio.get_running_loop().time
        self._known: OrderedDict[str, tuple[pb.Title, float]] = OrderedDict()

    async def several(self, title_ids: Sequence[str], viewer: Viewer) -> dict[str, pb.Title]:
        """Those of the titles that there are and that the viewer may watch.

        Raises CatalogNotNow, and NotYours where the catalog knows better than we.
        """
        found: dict[str, pb.Title] = {}
        missing: list[str] = []
        for title_id in dict.fromkeys(title_ids):
            title = self._remembered(title_id)
            if title is None:
                missing.append(title_id)
            elif title.minimum_age <= viewer.maximum_age:
                found[title_id] = title
        for start in range(0, len(missing), AT_ONCE):
            for title in await self._ask(missing[start : start + AT_ONCE], viewer):
                self._remember(title)
                found[title.title_id] = title
        return found

    async def one(self, title_id: str, viewer: Viewer) -> pb.Title:
        """A title to watch. Raises NoSuchTitle, TooYoung, CatalogNotNow, NotYours."""
        title = self._remembered(title_id)
        if title is None:
            title = await self._ask_one(title_id, viewer)
            self._remember(title)
        if title.minimum_age > viewer.maximum_age:
            raise TooYoung(title.minimum_age)
        return title

    async def newest(self, viewer: Viewer, genres: Sequence[str], most: int) -> list[pb.Title]:
        """The newest titles of any of some genres, or of all; what there is without a model."""
        request = pb.SearchTitlesRequest(
            profile_id=viewer.profile_id,
            filter=pb.TitleFilter(genres=genres),
            order_by="add_date desc",
            page_size=most,
        )
        try:
            found = list((await self._catalog.search_titles(request)).titles)
        except (CallError, ProfileDenied, ProfilesUnavailable) as error:
            raise _told(error) from error
        for title in found:
            self._remember(title)
        return found

    def _remembered(self, title_id: str) -> pb.Title | None:
        known = self._known.get(title_id)
        return None if known is None or known[1] <= self._clock() else known[0]

    def _remember(self, title: pb.Title) -> None:
        self._known[title.title_id] = title, self._clock() + KEPT
        self._known.move_to_end(title.title_id)
        while len(self._known) > MOST:
            self._known.popitem(last=False)

    async def _ask(self, title_ids: Sequence[str], viewer: Viewer) -> Sequence[pb.Title]:
        request = pb.BatchGetTitlesRequest(profile_id=viewer.profile_id, title_ids=title_ids)
        try:
            return (await self._catalog.batch_get_titles(request)).titles
        except (CallError, ProfileDenied, ProfilesUnavailable) as error:
            raise _told(error) from error

    async def _ask_one(self, title_id: str, viewer: Viewer) -> pb.Title:
        request = pb.GetTitleRequest(profile_id=viewer.profile_id, title_id=title_id)
        try:
            return (await self._catalog.get_title(request)).title
        except TitleUnknown:
            raise NoSuchTitle from None
        except TitleAboveRating as error:
            raise TooYoung(int(error.minimum_age)) from None
        except (CallError, ProfileDenied, ProfilesUnavailable) as error:
            raise _told(error) from error


def _told(error: CallError | ProfileDenied | ProfilesUnavailable) -> Exception:
    """What a failed call means here; a token that is no good is for the caller to hear of."""
    if isinstance(error, ProfileDenied):
        return NotYours()
    if isinstance(error, CallError) and error.answer is not None:
        return error
    return CatalogNotNow()
