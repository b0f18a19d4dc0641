"""Which hours the dashboard shows; each of them moves on at the full hour."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, NamedTuple

from acme.marketing.sales.v1 import sales_pb2 as pb

HOUR: Final = 3600
WINDOWS: Final = {"all": "All", "1h": "This hour", "24h": "Last 24 hours", "7d": "Last 7 days"}
"""What a person can choose, by its name in addresses; the first one is shown without a choice."""
_HOURS: Final = {"1h": 1, "24h": 24, "7d": 24 * 7}


class Chosen(NamedTuple):
    """A choice at one moment: `message` for the call, until it has to move on in `seconds`."""

    name: str
    message: pb.Window | None
    seconds: float | None


def chosen(name: str, clock: Callable[[], float] = time.time) -> Chosen:
    """The window of that name, the first one for a name that nobody offers."""
    if name not in _HOURS:
        return Chosen(next(iter(WINDOWS)), None, None)
    now = clock()
    end = (int(now) // HOUR + 1) * HOUR
    window = pb.Window()
    window.start_time.FromSeconds(end - _HOURS[name] * HOUR)
    return Chosen(name, window, end - now)
