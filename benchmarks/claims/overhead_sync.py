"""The full chain on grpc.server, one call of ten sampled, against bare handlers."""

from claims import Measurement
from overhead import unary
from overhead.claim import measured


def measure(quick: bool) -> Measurement:
    """The ratio of CPU a call."""
    return measured(unary.sync(unary.how_long(quick)), quick=quick)
