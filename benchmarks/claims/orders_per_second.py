"""Real orders placed end to end in a second, under full enforcement, on the machine at hand."""

from __future__ import annotations

from typing import Final

from claims import Measurement
from shop.speed import DURABILITY
from shop.speed import measure as measure_speed

SECONDS: Final = 20.0
QUICK_SECONDS: Final = 8.0


def measure(quick: bool) -> Measurement:
    """Counts only if the books balance and no call failed."""
    speed = measure_speed(QUICK_SECONDS if quick else SECONDS)
    sound = speed.balanced and not speed.errors
    processor = {**speed.milliseconds, "all": round(sum(speed.milliseconds.values()), 2)}
    detail = {
        "sample": f"{speed.seconds:.1f} s",
        "orders": speed.orders,
        "lines": speed.lines,
        "lines_per_second": round(speed.lines / speed.seconds),
        "lines_per_order": round(speed.lines / speed.orders, 1),
        "guarded_calls_per_order": 5,
        "durability": DURABILITY,
        "processor_ms_per_order": processor,
        "ledger_balanced": speed.balanced,
        "errors_unexpected": speed.errors,
    }
    return Measurement(round(speed.per_second, 1) if sound else 0.0, detail)
