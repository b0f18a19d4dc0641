"""The list of recommendations of a viewer, kept for a moment so that pages and calls share it."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from acme.streaming.recommendations.v1 import recommendations_pb2 as pb
from meshpact.servers.storage.database import Database
from reference.streaming.profiles import Viewer
from reference.streaming.recommendations import history
from reference.streaming.recommendations.keeper import Keeper
from reference.streaming.recommendations.library import (
    CatalogNotNow,
    Library,
    NoSuchTitle,
    TooYoung,
)
from reference.streaming.recommendations.taste import MOST, Pick, picks

KEPT: Final = 5.0
"""Seconds for which a list stands; an event or a deletion ends it at once."""
LISTS: Final = 1000


@dataclass(frozen=True)
class Ranked:
    """A list, the best first; `version` is the model's, empty when there was none. `answers` keeps
    first pages by their size and the workload that they are for, as long as the list stands."""

    picks: Sequence[Pick]
    version: str
    answers: dict[tuple[int, str], pb.ListRecommendationsResponse] = field(
        default_factory=dict[tuple[int, str], pb.ListRecommendationsResponse]
    )


class Ranking:
    """Makes and remembers lists. Made inside the event loop."""

    def __init__(self, keeper: Keeper, database: Database, library: Library) -> None:
        self._keeper = keeper
        self._database = database
        self._library = library
        self._clock = asyncio.get_running_loop().time
        self._known: OrderedDict[str, tuple[Ranked, Viewer, float]] = OrderedDict()

    async def of(self, viewer: Viewer) -> Ranked:
        """The list of a viewer. Raises CatalogNotNow and NotYours when the catalog is needed."""
        model = self._keeper.model
        known = self._known.get(viewer.profile_id)
        if known is not None:
            ranked, whose, until = known
            version = "" if model is None else model.version
            if whose == viewer and ranked.version == version and self._clock() < until:
                return ranked
        plays = await self._database.read(
            lambda connection: history.watched(connection, viewer.profile_id)
        )
        if model is None:
            ranked = Ranked(await self._without_model(viewer, plays), "")
        else:
            ranked = Ranked(picks(model, plays, viewer.maximum_age), model.version)
        self._known[viewer.profile_id] = ranked, viewer, self._clock() + KEPT
        self._known.move_to_end(viewer.profile_id)
        while len(self._known) > LISTS:
            self._known.popitem(last=False)
        return ranked

    def forget(self, profile_id: str) -> None:
        """The profile's history has changed."""
        self._known.pop(profile_id, None)

    async def _without_model(self, viewer: Viewer, plays: Sequence[history.Play]) -> list[Pick]:
        """New titles in the genres of what was watched last; new ones of any without that."""
        begun = {play.title_id for play in plays}
        last, genres = "", list[str]()
        if plays:
            try:
                genres = list((await self._library.one(plays[0].title_id, viewer)).genres)
                last = plays[0].title_id
            except (NoSuchTitle, TooYoung):
                pass
        found = await self._library.newest(viewer, genres, MOST)
        kept = [title.title_id for title in found if title.title_id not in begun]
        return [Pick(each, 1 / place, last) for place, each in enumerate(kept, 1)]


__all__ = ["CatalogNotNow", "Ranked", "Ranking"]
