"""Kills random services of the shop while the real orders are replayed, then checks the books.

    python -m shop.chaos --for 30

Each service dies by SIGKILL at moments of a seeded random generator; the supervisor starts it
again, customers and supplier ask until they are answered. At the end every stock code must balance
to the unit in the books of three services, and no order may be half done.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from typing import Any, Final, NamedTuple

from claims import NotMeasured
from shop.running import PATIENCE, SERVICES, Running

VICTIMS: Final = SERVICES
PAUSES: Final = (0.3, 2.0)
"""Seconds between two kills, at least and at most."""
SEED: Final = 1


class Outcome(NamedTuple):
    """How a run ended: kills by service, and the driver's report."""

    kills: dict[str, int]
    report: dict[str, Any]

    @property
    def faults(self) -> int:
        """What the audit found, plus what customers were not answered."""
        ledger: dict[str, int] = self.report["ledger"]
        unanswered: int = self.report["errors_unexpected"]
        return ledger.get("faults", 0) + unanswered + (not ledger.get("skus"))


def run(seconds: float, seed: int = SEED) -> Outcome:
    """Kills for so many seconds."""
    chance = random.Random(seed)
    kills: dict[str, int] = dict.fromkeys(VICTIMS, 0)
    with Running("patient") as mesh:
        mesh.until("ready after")
        mesh.until_more(0)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            time.sleep(chance.uniform(*PAUSES))
            victim = chance.choice(VICTIMS)
            kills[victim] += mesh.kill(victim)
        end = time.monotonic() + PATIENCE
        while not mesh.whole():
            if time.monotonic() > end:
                raise NotMeasured("a service did not come back")
            time.sleep(0.1)
        mesh.until_more(mesh.placed())
        return Outcome(kills, mesh.end())


def table(outcome: Outcome) -> str:
    """The outcome for people."""
    report = outcome.report
    ledger: dict[str, int] = report["ledger"]
    came = sum(ledger.get(name, 0) for name in ("opening", "delivered", "returned", "adjusted"))
    there = sum(ledger.get(name, 0) for name in ("on_hand", "reserved", "shipped"))
    rows = [
        *((f"kill -9 {name}", count) for name, count in outcome.kills.items()),
        ("orders placed", report["orders_placed"]),
        ("order lines", report["order_lines"]),
        ("asked again", report["outcomes"].get("asked_again", 0)),
        ("unanswered", report["errors_unexpected"]),
        ("stock codes", ledger.get("skus", 0)),
        ("opening + delivered + returned", came),
        ("on hand + reserved + shipped", there),
        ("faults in the books", ledger.get("faults", 0)),
    ]
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"{name:<{width}}  {count:>10,}" for name, count in rows)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--for", type=float, default=30.0, dest="seconds", help="how long to kill")
    parser.add_argument("--seed", type=int, default=SEED, help="when to kill whom")
    given = parser.parse_args()
    try:
        outcome = run(given.seconds, given.seed)
    except NotMeasured as problem:
        print(f"chaos: {problem}", file=sys.stderr)
        return 3
    print(table(outcome))
    for error in outcome.report["errors"]:
        print(error, file=sys.stderr)
    return 1 if outcome.faults else 0


if __name__ == "__main__":
    sys.exit(main())
