"""What the guard adds to each message of a stream, server streaming and bidirectional."""

from claims import Measurement
from overhead import streams
from overhead.claim import measured


def measure(quick: bool) -> Measurement:
    """Percent of a message's CPU, of the worse kind."""
    return measured(streams.measure(streams.QUICK if quick else streams.FULL), quick=quick)
