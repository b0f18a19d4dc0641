"""When a drain goes on to its next step, on a clock of its own."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from meshpact.servers import Drain
from meshpact.servers.drain import pauses

DRAIN = Drain(quiet=0.2, at_most=5.0, settle=1.0)


def leave(calls_until: float, calls_after_refusal_until: float = 0.0) -> tuple[float, float | None]:
    """(when the server may stop, when it began to refuse) with callers that call until then."""
    now = 0.0
    refused_at: float | None = None

    def arrived() -> int:
        until = calls_until if refused_at is None else refused_at + calls_after_refusal_until
        return round(min(now, until) * 1000)

    def refuse() -> None:
        nonlocal refused_at
        refused_at = now

    def clock() -> float:
        return now

    counted: Callable[[], int] = arrived
    for seconds in pauses(DRAIN, counted, refuse, clock):
        now += seconds
    return now, refused_at


@pytest.mark.parametrize(
    ("calls_until", "stops"), [(0.0, 0.2), (1.0, 1.2), (4.5, 4.7)], ids=["idle", "soon", "late"]
)
def test_it_waits_for_quiet_and_refuses_nobody(calls_until: float, stops: float) -> None:
    stopped, refused_at = leave(calls_until)
    assert stopped == pytest.approx(stops, abs=0.05)
    assert refused_at is None


def test_callers_that_go_on_are_refused_at_last() -> None:
    stopped, refused_at = leave(calls_until=9.0, calls_after_refusal_until=0.3)
    assert refused_at == pytest.approx(5.0, abs=0.05)
    assert stopped == pytest.approx(5.5, abs=0.05)


def test_callers_that_never_give_up_do_not_hold_the_server() -> None:
    stopped, refused_at = leave(calls_until=99.0, calls_after_refusal_until=99.0)
    assert refused_at == pytest.approx(5.0, abs=0.05)
    assert stopped == pytest.approx(6.0, abs=0.05)
