"""The guard's decision on a call at 100,000 role bindings against that at 10."""

from access import decision
from claims import Measurement
from overhead.claim import measured
from overhead.figures import Missing, Row


def measure(quick: bool) -> Measurement:
    """The ratio of CPU a decision."""

    async def rows() -> list[Row | Missing]:
        return [decision.measure(quick)]

    return measured(rows(), quick=quick)
