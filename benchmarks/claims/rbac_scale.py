"""The guard's decision on a call at 100,000 role bindings against that at 10."""

from claims import Measurement
from overhead.claim import measured
from overhead.figures import Missing, Row
from rolescale import decision


def measure(quick: bool) -> Measurement:
    """The ratio of CPU a decision."""

    async def rows() -> list[Row | Missing]:
        return [decision.measure(quick)]

    return measured(rows(), quick=quick)
