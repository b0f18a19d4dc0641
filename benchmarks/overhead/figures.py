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


def ratio(variant: Samples, base: Samples) -> Ratio:
    """Rounds are drawn again in pairs: what disturbed a round disturbed both."""
    return _resampled(variant, base, lambda a, b: a / b)


def share(wrapped: Samples, base: Samples) -> Ratio:
    """By how many percent `wrapped` costs more than `base`."""
    return _resampled(wrapped, base, lambda a, b: 100 * (a - b) / b)


def both(one: Samples, other: Samples) -> list[float]:
    """Two equal things as one of twice the calls."""
    return [(a + b) / 2 for a, b in zip(one, other, strict=True)]


def _resampled(variant: Samples, base: Samples, compare: Callable[[float, float], float]) -> Ratio:
    source = random.Random(1)
    rounds = range(min(len(variant), len(base)))
    found: list[float] = []
    for _ in range(RESAMPLES):
        drawn = source.choices(rounds, k=len(rounds))
        medians = [statistics.median([samples[i] for i in drawn]) for samples in (variant, base)]
        found.append(compare(*medians))
    found.sort()
    edge = RESAMPLES // 40
    return Ratio(
        compare(statistics.median(variant), statistics.median(base)), found[edge], found[-1 - edge]
    )


def microseconds(samples: Mapping[str, Samples]) -> dict[str, float]:
    """The median of each variant, in microseconds."""
    return {name: round(statistics.median(each) / 1000, 2) for name, each in samples.items()}
