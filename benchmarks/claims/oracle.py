"""The guard against the reference oracle, on generated policies, callers and requests."""

from typing import Final

from claims import Measurement
from oracle.comparison import compare

SEED: Final = 20111130
"""Another one than the tests', so that claim and tests see different triples."""
TRIPLES: Final = 5000
TRIPLES_QUICK: Final = 1000
SHOWN: Final = 5


def measure(quick: bool) -> Measurement:
    """Counts disagreements in decision, code or reason, over aio and sync."""
    wanted = TRIPLES_QUICK if quick else TRIPLES
    report = compare(wanted, SEED)
    return Measurement(
        len(report.disagreements),
        {
            "sample": f"{report.triples} triples, each on aio and sync"
            + (f" (all: {TRIPLES})" if quick else ""),
            "seed": SEED,
            "decisions": dict(report.expected.most_common()),
            "disagreements": [str(found) for found in report.disagreements[:SHOWN]],
        },
    )
