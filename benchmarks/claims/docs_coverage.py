"""How many methods, fields and error reasons of the reference contracts have no comment."""

from pathlib import Path
from typing import Final

from claims import Measurement
from meshpact.contracts.docs import coverage

PROTOS: Final = Path(__file__).parents[2] / "protos"
KINDS: Final = ("method", "field", "reason")


def measure(quick: bool) -> Measurement:
    """Counts over protos/; the sample is always all of it."""
    del quick
    found = coverage([PROTOS])
    counted = {kind: found.totals[kind] for kind in found.totals}
    return Measurement(
        found.without(KINDS),
        {
            "sample": f"all of {sum(counted[kind] for kind in KINDS)}",
            "counted": counted,
            "percent_of_all_kinds": found.percent,
            "missing": [f"{each.kind} {each.name}" for each in found.missing],
        },
    )
