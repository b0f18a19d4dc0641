"""How a server leaves: health says so, it waits for quiet, it refuses, it stops.

grpc's `stop` answers calls that are on their way with CANCELLED, which tells a caller nothing:
the call may have run or not, and no client tries it again (with callers that never pause, nearly
every one of them gets it). Nothing in grpcio closes a listener or sends GOAWAY ahead of that. So:

1. Health is NOT_SERVING, and calls are served on, until none has arrived for `quiet` seconds.
   Callers that watch health, or whose load balancer does, have turned away: nothing is lost.
2. Callers that never stop: after `at_most` seconds new calls are refused with UNAVAILABLE (reason
   OVERLOADED), which says that nothing was done, until it is quiet or `settle` seconds are over.
3. Only then grpc's `stop`: calls that run have `grace` seconds. A caller that went on through all
   of this without a pause may still see CANCELLED.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from meshpact.interceptors.errors import DOMAIN, OVERLOADED, StatusError
from meshpact.interceptors.status import Ending, ending

SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)
"""What asks a process to leave."""

POLL: Final = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Drain:
    """The times of a server's leaving, in seconds; the module says what each is for."""

    quiet: float = 0.2
    at_most: float = 5.0
    settle: float = 1.0
    grace: float = 10.0


def pauses(
    drain: Drain,
    arrived: Callable[[], int],
    refuse: Callable[[], object],
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[float]:
    """Yields how long to sleep, time and again, until the server may stop.

    `arrived` counts the calls so far; `refuse` is told once when step 2 begins.
    """
    quiet = _Quiet(drain.quiet, arrived, clock)
    yield from quiet.wait(drain.at_most)
    if not quiet.found:
        refuse()
        yield from quiet.wait(drain.settle)


class _Quiet:
    def __init__(
        self, length: float, arrived: Callable[[], int], clock: Callable[[], float]
    ) -> None:
        self.found = False
        self._length = length
        self._arrived = arrived
        self._clock = clock

    def wait(self, at_most: float) -> Iterator[float]:
        start = last = self._clock()
        seen = self._arrived()
        while True:
            now, count = self._clock(), self._arrived()
            if count != seen:
                seen, last = count, now
            self.found = now - last >= self._length
            if self.found or now - start >= at_most:
                return
            yield POLL


def refusal() -> Ending:
    """What a call gets that arrives while the server refuses."""
    error = StatusError(
        OVERLOADED.code,
        "This server is going away: nothing was done; try again, it may be another that answers.",
        reason=OVERLOADED.name,
        domain=DOMAIN,
        retry_after=1.0,
    )
    return ending(error, "")
