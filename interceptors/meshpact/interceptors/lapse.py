"""Streams end with the token of their end user: who holds one open is not trusted for longer.

Only admissions of streaming methods that look at tokens are wrapped: others cost nothing more.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from meshpact.interceptors import claims, deadline
from meshpact.interceptors.admission import Begin, Running
from meshpact.interceptors.call import MetadataPairs, Wire
from meshpact.interceptors.errors import StatusError
from meshpact.interceptors.keys import Refreshable


def until_lapse(begin: Begin, wall: Callable[[], float]) -> Begin:
    """The same admission; a call whose token ends before its deadline ends with the token.

    `wall` gives seconds since the epoch.
    """

    def begin_stream(
        wire: Wire, pairs: MetadataPairs, fresh: bool, handle: Any
    ) -> Running | Refreshable:
        call = begin(wire, pairs, fresh, handle)
        if isinstance(call, Running) and call.denial is None and call.user is not None:
            left = call.user.expires - wall()
            if left < call.info.deadline - call.started:
                call.timer, call.lapses = max(left, 0.0), True
        return call

    return begin_stream


def time_up(call: Running) -> StatusError:
    """Why the server itself ended a call whose `timer` is up."""
    assert call.timer is not None
    return claims.expired() if call.lapses else deadline.exceeded(call.timer)
