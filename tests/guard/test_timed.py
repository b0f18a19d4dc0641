"""Work on threads: answered in time, used again, and not without end."""

from __future__ import annotations

import threading
import time

import pytest

from meshpact.interceptors.timed import Busy, Overran, TimedThreads


def soon(seconds: float = 30.0) -> float:
    """A time that far from now."""
    return time.monotonic() + seconds


def test_work_gives_its_result_and_its_exception() -> None:
    threads = TimedThreads()
    assert threads.run(soon(), divmod, 7, 2) == (3, 1)
    with pytest.raises(ZeroDivisionError):
        threads.run(soon(), divmod, 7, 0)


def test_a_timeout_that_the_work_raises_is_its_own() -> None:
    def late() -> None:
        raise TimeoutError("mine")

    with pytest.raises(TimeoutError, match="mine"):
        TimedThreads().run(soon(), late)


def test_threads_are_used_again() -> None:
    threads = TimedThreads()
    names = {threads.run(soon(), threading.get_ident) for _ in range(20)}
    assert len(names) < 20


def test_work_that_overruns_is_left_alone_and_comes_to_its_end() -> None:
    threads = TimedThreads()
    go, ended = threading.Event(), threading.Event()

    def slow() -> None:
        go.wait(60)
        ended.set()

    with pytest.raises(Overran):
        threads.run(soon(0.0), slow)
    go.set()
    assert ended.wait(60)
    assert threads.run(soon(), len, "ab") == 2


def test_beside_too_much_overrunning_work_none_is_begun() -> None:
    threads = TimedThreads(max_overrunning=2)
    go = threading.Event()
    for _ in range(2):
        with pytest.raises(Overran):
            threads.run(soon(0.0), go.wait, 60)
    with pytest.raises(Busy):
        threads.run(soon(), len, "ab")
    go.set()
    until = soon()
    while True:
        try:
            assert threads.run(soon(), len, "ab") == 2
            return
        except Busy:
            assert time.monotonic() < until
