"""The generated client against grpcio's bare stub, in one calling process."""

from claims import Measurement
from overhead import client, unary
from overhead.claim import measured


def measure(quick: bool) -> Measurement:
    """The ratio of the caller's CPU a call."""
    return measured(client.measure(unary.how_long(quick)), quick=quick)
