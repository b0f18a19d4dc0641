"""Medians of interleaved chunks, and what they let one say."""

from __future__ import annotations

import operator
import random
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

Samples = Sequence[float]
"""Nanoseconds of CPU a call (or a message), one figure a round."""

COMPARE: Final[Mapping[str, Callable[[float, float], bool]]] = {
    "<=": operator.le,
    "<": operator.lt,
}
RESAMPLES: Final = 400


@dataclass(frozen=True)
class Ratio:
    """The ratio of two medians, with the range that holds it in 95 % of resampled runs."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Row:
    """One figure of the table. `value` compares with `goal` by `op`, in `unit`."""

    name: str
    says: str
    op: str
    goal: float
    value: float
    low: float
    high: float
    again: float
    """How far two equal things were apart, in the unit of `value` (ratio: from 1; %: from 0)."""
    rounds: int
    microseconds: Mapping[str, float]
    """Median CPU a call (or a message) of each variant."""
    unit: str = "ratio"
    note: str = ""
    extra: Mapping[str, object] = field(default_factory=dict[str, object])

    @property
    def margin(self) -> float:
        """How far from "costs nothing" the goal is; a goal of just less: how far the value is."""
        nothing = 1.0 if self.unit == "ratio" else 0.0
        return abs((self.value if self.goal == nothing else self.goal) - nothing)

    @property
    def conclusive(self) -> bool:
        """Whether equal things were equal to within a third of the margin."""
        return abs(self.again) <= self.margin / 3

    @property
    def verdict(self) -> str:
        """What the run lets one say."""
        if not self.conclusive:
            return "inconclusive"
        return "met" if COMPARE[self.op](self.value, self.goal) else "missed"


@dataclass(frozen=True)
class Missing:
    """A figure that could not be had here, and why."""

    name: str
    says: str
    why: str


def ratio(variant: Samples, *bases: Samples) -> Ratio:
    """The median of `variant` over the median of all samples of `bases`, which are equal things.

    Rounds are drawn again whole: what disturbed a round disturbed all of it.
    """
    return _resampled(variant, bases, lambda a, b: a / b)


def share(wrapped: Samples, *bases: Samples) -> Ratio:
    """By how many percent `wrapped` costs more than `bases`."""
    return _resampled(wrapped, bases, lambda a, b: 100 * (a - b) / b)


def difference(variant: Samples, *bases: Samples) -> Ratio:
    """By how many microseconds `variant` costs more than `bases`."""
    return _resampled(variant, bases, lambda a, b: (a - b) / 1000)


def _resampled(
    variant: Samples, bases: Sequence[Samples], compare: Callable[[float, float], float]
) -> Ratio:
    def of(rounds: Sequence[int]) -> float:
        return compare(
            statistics.median([variant[i] for i in rounds]),
            statistics.median([base[i] for base in bases for i in rounds]),
        )

    source = random.Random(1)
    rounds = range(len(variant))
    found = sorted(of(source.choices(rounds, k=len(rounds))) for _ in range(RESAMPLES))
    edge = RESAMPLES // 40
    return Ratio(of(rounds), found[edge], found[-1 - edge])


def microseconds(samples: Mapping[str, Samples]) -> dict[str, float]:
    """The median of each variant, in microseconds."""
    return {name: round(statistics.median(each) / 1000, 2) for name, each in samples.items()}
