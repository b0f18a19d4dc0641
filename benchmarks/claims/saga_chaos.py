"""The books of the shop after its services were killed at random, as `make chaos` does it."""

from __future__ import annotations

from typing import Final

from claims import Measurement
from shop.chaos import SEED, run

SECONDS: Final = 60.0
QUICK_SECONDS: Final = 15.0


def measure(quick: bool) -> Measurement:
    """Counts what does not balance; the check is the same whole one, quick or not."""
    seconds = QUICK_SECONDS if quick else SECONDS
    outcome = run(seconds, SEED)
    report = outcome.report
    detail = {
        "sample": f"{seconds:g} s of kills",
        "kills": outcome.kills,
        "orders_placed": report["orders_placed"],
        "order_lines": report["order_lines"],
        "asked_again": report["outcomes"].get("asked_again", 0),
        "unanswered": report["errors_unexpected"],
        "ledger": report["ledger"],
    }
    return Measurement(outcome.faults, detail)
