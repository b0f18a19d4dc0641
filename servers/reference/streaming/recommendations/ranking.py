"""The list of recommendations of a viewer, kept for a moment so that pages and calls share it."""

from __future__ import annotations

import asyncio
import itertools
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

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
from reference.streaming.recommendations.model import Model
from reference.streaming.recommendations.newcomers import Newcomers
from reference.streaming.recommendations.taste import MOST, Pick, picks

KEPT: Final = 5.0
"""Seconds for which a list stands; an event or a deletion ends it at once."""
LISTS: Final = 1000


class First(NamedTuple):
    """The first page of a list: the answer without a token, and the titles after it."""

    answer: pb.ListRecommendationsResponse
    rest: str


@dataclass(frozen=True)
class Firsts:
    """First pages of a list by their size; under `lock` one of its callers makes them for all."""

    pages: dict[int, First] = field(default_factory=dict[int, First])
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


@dataclass(frozen=True)
class Ranked:
    """A list, the best first; `version` is the model's, empty when there was none.

    `firsts` is shared by all whose list it is, `answers` has what one of them is answered, by the
    size of the page and the workload that it is for; both for as long as the list stands.
    """

    picks: Sequence[Pick]
    version: str
    firsts: Firsts = field(default_factory=Firsts)
    answers: dict[tuple[int, str], pb.ListRecommendationsResponse] = field(
        default_factory=dict[tuple[int, str], pb.ListRecommendationsResponse]
    )


class Ranking:
    """Makes and remembers lists. Made inside the event loop."""

    def __init__(
        self, keeper: Keeper, database: Database, library: Library, newcomers: Newcomers
    ) -> None:
        self._keeper = keeper
        self._database = database
        self._library = library
        self._newcomers = newcomers
        self._clock = asyncio.get_running_loop().time
        self._known: OrderedDict[str, tuple[Ranked, Viewer, float]] = OrderedDict()
        self._popular: dict[int, tuple[Ranked, float]] = {}
        self._changed: OrderedDict[str, int] = OrderedDict()
        self._count = itertools.count()

    async def of(self, viewer: Viewer) -> Ranked:
        """The list of a viewer. Raises CatalogNotNow and NotYours when the catalog is needed."""
        model = self._keeper.model
        known = self._known.get(viewer.profile_id)
        if known is not None:
            ranked, whose, until = known
            version = "" if model is None else model.version
            if whose == viewer and ranked.version == version and self._clock() < until:
                return ranked
        if model is not None and self._newcomers.is_new(viewer.profile_id):
            ranked = self._for_new(model, viewer.maximum_age)
        else:
            changed = self._changed.get(viewer.profile_id)
            plays = await self._database.read(
                lambda connection: history.watched(connection, viewer.profile_id)
            )
            if model is None:
                ranked = Ranked(await self._without_model(viewer, plays), "")
            else:
                ranked = Ranked(picks(model, plays, viewer.maximum_age), model.version)
            if self._changed.get(viewer.profile_id) != changed:
                return ranked  # it was read before the last change: it does not stand
        self._known[viewer.profile_id] = ranked, viewer, self._clock() + KEPT
        self._known.move_to_end(viewer.profile_id)
        while len(self._known) > LISTS:
            self._known.popitem(last=False)
        return ranked

    def changes(self, profile_id: str) -> None:
        """The profile's history is about to change: nobody counts it as new from now on."""
        self._newcomers.watches(profile_id)

    def forget(self, profile_id: str) -> None:
        """The profile's history has changed."""
        self._known.pop(profile_id, None)
        self._changed[profile_id] = next(self._count)
        self._changed.move_to_end(profile_id)
        while len(self._changed) > LISTS:
            self._changed.popitem(last=False)

    def _for_new(self, model: Model, age: int) -> Ranked:
        """The list of those who watched nothing: one for all of an age."""
        known = self._popular.get(age)
        if known is None or known[0].version != model.version or self._clock() >= known[1]:
            known = Ranked(picks(model, (), age), model.version), self._clock() + KEPT
            self._popular[age] = known
        return Ranked(known[0].picks, model.version, known[0].firsts)

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
