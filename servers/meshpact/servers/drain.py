"""How a server leaves: health says so first, then it waits for quiet, then it stops.

grpc's `stop` refuses new calls at once, and answers some that are on their way with CANCELLED,
which no client tries again. Nothing in grpcio closes a listener or sends GOAWAY ahead of it. So a
server goes on serving, NOT_SERVING in health, until no call has arrived for a moment; callers that
watch health, or whose load balancer does, have turned away by then, and nothing is lost. Callers
that never stop calling make it wait for `at_most`; then the race is as small as grpc leaves it.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)
"""What asks a process to leave."""

POLL: Final = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Drain:
    """Seconds: without arrivals before the stop, at most altogether, and for calls that run."""

    quiet: float = 0.2
    at_most: float = 5.0
    grace: float = 10.0


def pauses(
    drain: Drain, arrived: Callable[[], int], clock: Callable[[], float] = time.monotonic
) -> Iterator[float]:
    """Yields how long to sleep, time and again, until calls have ceased or `at_most` is over."""
    start = last = clock()
    seen = arrived()
    while True:
        now = clock()
        count = arrived()
        if count != seen:
            seen, last = count, now
        if now - last >= drain.quiet or now - start >= drain.at_most:
            return
        yield POLL
