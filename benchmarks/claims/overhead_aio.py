"""The full chain on grpc.aio, every call sampled, against bare handlers of one process."""

from claims import Measurement
from overhead import unary
from overhead.claim import measured


def measure(quick: bool) -> Measurement:
    """The ratio of CPU a call."""
    return measured(unary.aio([unary.AIO], unary.how_long(quick)), quick=quick)
