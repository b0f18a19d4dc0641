"""New leaves for all workloads, again and again, under calls of all shapes and kinds."""

from typing import Final

from claims import Measurement
from meshpact.testing.hosting import Workbench
from rotation.domain import Domain
from rotation.load import Load, Tally

ROTATIONS: Final = 20
LONGER: Final = 60
SHOWN: Final = 10


def measure(quick: bool) -> Measurement:
    """Counts failed calls; a quick run makes the 20 rotations, a whole one three times as many.

    Every second one follows at once on the one before it, while its connections still drain.
    """
    rotations = ROTATIONS if quick else LONGER
    with Workbench() as bench:
        domain = Domain(bench.authority)
        with Load(bench, domain) as load:
            for number in range(rotations):
                load.change(domain.renew, streams=number % 2 == 0)
    return result(load.tally, f"{rotations} leaf rotations")


def result(tally: Tally, sample: str) -> Measurement:
    """The failures, and how many calls of which kind there were to fail."""
    return Measurement(
        len(tally.failures),
        {
            "sample": sample,
            "calls": dict(sorted(tally.ended.items())),
            "calls_that_saw_a_rotation": dict(sorted(tally.spanning.items())),
            "failures": tally.failures[:SHOWN],
        },
    )
