"""A new CA in three steps (prepare, activate, retire), again and again, under calls of all shapes
and kinds."""

from typing import Final

from claims import Measurement
from claims.rotation_leaf import result
from meshpact.testing.hosting import Workbench
from rotation.domain import Domain
from rotation.load import Load

ROTATIONS: Final = 3
LONGER: Final = 12


def measure(quick: bool) -> Measurement:
    """Counts failed calls; a quick run makes 3 whole rotations, a whole one four times as many."""
    rotations = ROTATIONS if quick else LONGER
    with Workbench() as bench:
        domain = Domain(bench.authority)
        with Load(bench, domain) as load:
            for _ in range(rotations):
                for step in (domain.prepare, domain.activate, domain.retire):
                    load.change(step, streams=True)
    return result(load.tally, f"{rotations} CA rotations, each in three steps")
