"""What a profile may like: titles like those it watched, the popular ones behind them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from reference.streaming.recommendations.history import Play
from reference.streaming.recommendations.model import Model

MOST: Final = 100
"""Recommendations in a list."""
REMEMBERED: Final = 30
"""Watched titles that count, the latest ones."""
FADING: Final = 0.93
"""What a watched title counts beside the one after it."""


class Pick(NamedTuple):
    """One recommendation; `because` is the watched title that it is like, empty for none."""

    title_id: str
    score: float
    because: str = ""


def weight(play: Play) -> float:
    """How much a watched title speaks for titles like it; below 0 it speaks against them."""
    if play.stars:
        return (play.stars - 2.5) / 2.5
    return 1.0 if play.finished else 0.5


def picks(model: Model, plays: Sequence[Play], age: int) -> list[Pick]:
    """What to recommend to a profile of this age that watched `plays` (the latest first); nothing
    that it began already."""
    begun = {play.title_id for play in plays}
    scores: dict[int, float] = {}
    because: dict[int, tuple[float, str]] = {}
    fade = 1.0
    for play in plays[:REMEMBERED]:
        row = model.rows.get(play.title_id)
        if row is None:
            continue
        speaks = weight(play) * fade
        fade *= FADING
        for other, how in model.like(row):
            part = speaks * how
            scores[other] = scores.get(other, 0.0) + part
            if part > because.get(other, (0.0, ""))[0]:
                because[other] = part, play.title_id
    allowed = [
        Pick(model.ids[row], score, because[row][1])
        for row, score in scores.items()
        if score > 0 and row in because and model.ages[row] <= age and model.ids[row] not in begun
    ]
    allowed.sort(key=lambda pick: (-pick.score, pick.title_id))
    found = allowed[:MOST]
    return found + _popular(model, age, begun, found)


def _popular(model: Model, age: int, begun: set[str], found: Sequence[Pick]) -> list[Pick]:
    """Fills a list up; the scores go on below the last one."""
    named = {pick.title_id for pick in found}
    score = min(found[-1].score if found else 1.0, 1.0)
    filled: list[Pick] = []
    for row in model.popular:
        if len(found) + len(filled) >= MOST:
            break
        title_id = model.ids[row]
        if model.ages[row] <= age and title_id not in begun and title_id not in named:
            score *= 0.99
            filled.append(Pick(title_id, score))
    return filled
