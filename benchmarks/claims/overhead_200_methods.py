"""A guarded service of 200 methods against the same registered by stock grpcio."""

from claims import Measurement
from overhead import unary
from overhead.claim import measured


def measure(quick: bool) -> Measurement:
    """The ratio of CPU a call."""
    return measured(unary.methods(unary.how_long(quick)), quick=quick)
