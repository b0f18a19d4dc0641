"""What the driver has seen: counts, latencies, refusals, errors. Readable at any moment."""

from __future__ import annotations

import math
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Final

ERROR_TEXTS: Final = 10
"""Different texts of unexpected errors that are kept; all are counted."""
TEXT_LENGTH: Final = 160


class Histogram:
    """Latencies in buckets that grow by 5 %, from 50 us to 150 s: exact to 2.5 %, 2.4 kB."""

    LEAST: Final = 50e-6
    GROWTH: Final = math.log(1.05)
    BUCKETS: Final = 306

    def __init__(self) -> None:
        self._counts = [0] * self.BUCKETS
        self.total = 0

    def add(self, seconds: float) -> None:
        """Counts one latency."""
        place = math.log(max(seconds, self.LEAST) / self.LEAST) / self.GROWTH
        self._counts[min(int(place), self.BUCKETS - 1)] += 1
        self.total += 1

    def quantile(self, part: float) -> float | None:
        """The latency in seconds that `part` of all (0 to 1) do not exceed; None without any."""
        if not self.total:
            return None
        wanted, seen = math.ceil(self.total * part), 0
        for bucket, count in enumerate(self._counts):
            seen += count
            if seen >= wanted:
                return self.LEAST * math.exp((bucket + 0.5) * self.GROWTH)
        return None


@dataclass
class Stats:
    """The driver's counts.

    `outcomes` are ends that belong to business (`out_of_stock`, `returned_items`, ...), no errors.
    `refused_expected` are refusals of misfits, with the code and reason they must have.
    """

    orders_placed: int = 0
    order_lines: int = 0
    calls: int = 0
    rounds: int = 0
    errors_unexpected: int = 0
    errors: Counter[str] = field(default_factory=Counter[str])
    refused: Counter[str] = field(default_factory=Counter[str])
    outcomes: Counter[str] = field(default_factory=Counter[str])
    latency: Histogram = field(default_factory=Histogram)
    ledger_balanced: bool | None = None
    ledger: dict[str, int] = field(default_factory=dict[str, int])
    """What the warehouse's accounts add up to, as the last audit saw it, in items."""

    began: float | None = None
    ended: float = 0.0

    def placed(self, lines: int) -> None:
        """Counts an order, and when the first and the last one were placed."""
        self.ended = time.perf_counter()
        if self.began is None:
            self.began = self.ended
        self.orders_placed += 1
        self.order_lines += lines

    @property
    def ordering_s(self) -> float:
        """Seconds from the first order that was placed to the last."""
        return 0.0 if self.began is None else self.ended - self.began

    @property
    def refused_expected(self) -> int:
        """Refusals of misfits."""
        return self.refused.total()

    def unexpected(self, text: str) -> None:
        """Counts an error nobody asked for, and keeps its text."""
        self.errors_unexpected += 1
        text = text[:TEXT_LENGTH]
        if text in self.errors or len(self.errors) < ERROR_TEXTS:
            self.errors[text] += 1
        else:
            self.errors["others"] += 1

    def figures(self) -> dict[str, object]:
        """All of it, as `meshpact up` shows and prints it."""
        return {
            "orders_placed": self.orders_placed,
            "order_lines": self.order_lines,
            "ordering_s": round(self.ordering_s, 3),
            "calls": self.calls,
            "rounds": self.rounds,
            "refused_expected": self.refused_expected,
            "refused_by_reason": dict(self.refused),
            "errors_unexpected": self.errors_unexpected,
            "errors": dict(self.errors),
            "outcomes": dict(self.outcomes),
            "p50_ms": _milliseconds(self.latency.quantile(0.5)),
            "p99_ms": _milliseconds(self.latency.quantile(0.99)),
            "ledger_balanced": self.ledger_balanced,
            "ledger": self.ledger,
        }


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 2)
