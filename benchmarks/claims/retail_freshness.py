"""How soon both replicas of the shop window show a change, beside the replay of real orders."""

from __future__ import annotations

from typing import Final

from claims import Measurement
from shop.freshness import measure as measure_freshness

CHANGES: Final = 300
QUICK_CHANGES: Final = 60


def measure(quick: bool) -> Measurement:
    """The 99th percentile over all changes."""
    found = measure_freshness(QUICK_CHANGES if quick else CHANGES)
    detail = {
        "sample": f"{len(found.seconds)} changes",
        "p50_s": round(found.quantile(0.5), 3),
        "worst_s": round(found.seconds[-1], 3),
        "windows": 2,
        "orders_meanwhile": found.orders,
    }
    return Measurement(round(found.quantile(0.99), 3), detail)
