"""What a cached token adds to a guarded call, in one server process."""

from claims import Measurement
from overhead import tokens, unary
from overhead.claim import measured


def measure(quick: bool) -> Measurement:
    """Microseconds of the server's CPU that a call with a cached token costs more."""
    return measured(tokens.measure(unary.how_long(quick)), quick=quick)
