"""A search as the address of its page has it, and what may be chosen next."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple
from urllib.parse import urlencode

from starlette.exceptions import HTTPException

from acme.streaming.catalog.v1 import catalog_pb2 as pb

TYPES: Final[Mapping[str, pb.TitleType.ValueType]] = {
    "movie": pb.TITLE_TYPE_MOVIE,
    "series": pb.TITLE_TYPE_SERIES,
}
WORDS: Final = {"movie": "Films", "series": "Series"}
LONGEST: Final = 200


class Choice(NamedTuple):
    """One value to choose: as addresses have it, as people read it, how many titles it gives."""

    value: str
    label: str
    titles: int


class Search(NamedTuple):
    """What somebody searches for; every part may be empty."""

    query: str = ""
    type: str = ""
    genre: str = ""
    rating: str = ""
    decade: str = ""
    country: str = ""

    @classmethod
    def of(cls, given: Mapping[str, str]) -> Search:
        """The search in an address; 400 for one that no page of ours leads to."""
        found = cls(*(given.get(name, "").strip()[:LONGEST] for name in ("q", *cls._fields[1:])))
        if found.type and found.type not in TYPES:
            raise HTTPException(400, "There are films and series: type is movie or series.")
        if found.decade and not re.fullmatch("[0-9]{4}", found.decade):
            raise HTTPException(400, "A decade is a year, such as 1990.")
        return found

    @property
    def filter(self) -> pb.TitleFilter:
        """The filter for the catalog."""
        return pb.TitleFilter(
            types=[TYPES[self.type]] if self.type else [],
            genres=_some(self.genre),
            ratings=_some(self.rating),
            decades=[int(self.decade)] if self.decade else [],
            countries=_some(self.country),
        )

    def address(self, page_token: str = "") -> str:
        """The query of the search's address, for one of its pages."""
        parts = {"q": self.query} | dict(zip(self._fields[1:], self[1:], strict=True))
        return urlencode({k: v for k, v in {**parts, "page_token": page_token}.items() if v})


def choices(found: pb.GetFacetsResponse) -> dict[str, tuple[str, list[Choice]]]:
    """What may be chosen, by the name that the address has for it: its label, and the values."""
    names = {pb.TitleType.Name(number): name for name, number in TYPES.items()}
    types = [
        Choice(names[each.value], WORDS[names[each.value]], each.count) for each in found.types
    ]
    return {
        "type": ("Kind", types),
        "genre": ("Genre", _choices(found.genres)),
        "rating": ("Rating", _choices(found.ratings)),
        "decade": (
            "Decade",
            [each._replace(label=f"{each.value}s") for each in _choices(found.decades)],
        ),
        "country": ("Country", _choices(found.countries)),
    }


def _choices(counts: Sequence[pb.FacetCount]) -> list[Choice]:
    return [Choice(each.value, each.value, each.count) for each in counts]


def _some(value: str) -> list[str]:
    return [value] if value else []
