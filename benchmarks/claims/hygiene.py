"""Every attack on the wire, on servers of asyncio and of threads, as they are and strict."""

from concurrent.futures import ThreadPoolExecutor
from itertools import product
from typing import Final

from claims import Measurement
from meshpact.testing.hosting import Kind
from wire.attacks import attacks
from wire.hygiene import KINDS, target

SHOWN: Final = 10


def measure(quick: bool) -> Measurement:
    """Counts the attacks that were not refused as they should be; the sample is all of them.

    The four servers are attacked at once: most of the time is spent waiting for deadlines.
    """
    with ThreadPoolExecutor() as pool:
        found = list(pool.map(_attack, *zip(*product(KINDS, (False, True)), strict=True)))
    made = sum(len(faults) for faults in found)
    faults = [faults for server in found for faults in server if faults]
    return Measurement(len(faults), {"sample": f"all of {made} attacks", "faults": faults[:SHOWN]})


def _attack(kind: Kind, strict: bool) -> list[list[str]]:
    """For each attack what went wrong with it."""
    with target(kind, strict=strict) as aim:
        return [attack.run(aim) for attack in attacks(strict=strict, kind=kind)]
