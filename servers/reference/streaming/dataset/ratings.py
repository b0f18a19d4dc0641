"""Ratings, and from which age they allow a title.

The ages are those that the TV Parental Guidelines and the Motion Picture Association name; where
they name none (TV-PG, PG), the age that streaming services commonly take. A title that nobody rated
is for adults: what is not known is not shown to children.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

ADULT: Final = 18
AGES: Final[Mapping[str, int]] = {
    "TV-Y": 0,
    "G": 0,
    "TV-G": 0,
    "TV-Y7": 7,
    "TV-Y7-FV": 7,
    "PG": 8,
    "TV-PG": 8,
    "PG-13": 13,
    "TV-14": 14,
    "R": 17,
    "TV-MA": 17,
    "NC-17": ADULT,
    "NR": ADULT,
    "UR": ADULT,
}


def minimum_age(rating: str) -> int:
    """The age from which a rating allows a title; ADULT for one that is empty or not known."""
    return AGES.get(rating, ADULT)
