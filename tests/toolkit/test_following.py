"""Following another service's events: each taken in once, whoever ends, fails or comes back."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, AsyncIterator

import pytest

from meshpact.interceptors.errors import Code, StatusError
from meshpact.servers.background import Job
from meshpact.servers.following import Follower, Gap


class Broken(Exception):
    """Nobody thought of this."""


class Source:
    """Events 1, 2, 3 and so on, up to `newest`; streams end or fail as `ends` says, in turn."""

    def __init__(self, newest: int, *ends: Exception | None) -> None:
        self.newest = newest
        self.ends = list(ends)
        self.opened: list[int] = []
        self.closed = 0

    async def __call__(self, after: int) -> AsyncIterator[int]:
        self.opened.append(after)
        try:
            for revision in range(after + 1, self.newest + 1):
                yield revision
                if self.ends:
                    end = self.ends.pop(0)
                    if end is None:
                        return
                    raise end
            await asyncio.Event().wait()
        finally:
            self.closed += 1


class Taken:
    """What was taken in; `fails` is raised first."""

    def __init__(self, expected: int, *fails: Exception) -> None:
        self.seen: list[int] = []
        self.fails = list(fails)
        self.enough = asyncio.Event()
        self._expected = expected

    async def position(self) -> int:
        return len(self.seen)

    async def take(self, revision: int) -> None:
        if self.fails:
            raise self.fails.pop(0)
        self.seen.append(revision)
        if len(self.seen) == self._expected:
            self.enough.set()


@contextlib.asynccontextmanager
async def following(source: Source, taken: Taken) -> AsyncGenerator[None]:
    follower = Follower("orders", position=taken.position, open_=source, take=taken.take)
    job = Job("following orders", follower.run, every=0.001, pause=0.001)
    job.start()
    try:
        await asyncio.wait_for(taken.enough.wait(), 30)
        yield
    finally:
        await job.close()


UNAVAILABLE = StatusError(Code.UNAVAILABLE, "not there")
GONE = StatusError(Code.OUT_OF_RANGE, "revision 1 is gone")


async def test_a_stream_that_ends_or_fails_is_opened_where_it_ended() -> None:
    source, taken = Source(5, None, UNAVAILABLE, Broken("oh")), Taken(5)
    async with following(source, taken):
        assert taken.seen == [1, 2, 3, 4, 5]
        assert source.opened == [0, 1, 2, 3]


async def test_what_could_not_be_taken_in_comes_again() -> None:
    source, taken = Source(3), Taken(3, Gap("not now"), Broken("oh"))
    async with following(source, taken):
        assert taken.seen == [1, 2, 3]
        assert source.opened == [0, 0, 0]
        assert source.closed == 2
    assert source.closed == 3


@pytest.mark.parametrize(
    ("error", "level", "words"),
    [
        (UNAVAILABLE, logging.WARNING, "StatusError: not there"),
        (Gap("at 3"), logging.WARNING, "Gap: at 3"),
        (GONE, logging.ERROR, "CannotGoOn: orders cannot be followed any further, begin with an"),
        (Broken("oh"), logging.ERROR, "Broken: oh"),
    ],
)
async def test_a_failure_is_logged_once_and_so_is_its_end(
    error: Exception, level: int, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "meshpact.servers.background")
    source, taken = Source(5, None, error, error, error), Taken(5)
    async with following(source, taken):
        first, second, *_ = caplog.records
        assert first.levelno == level
        assert words in first.getMessage()
        assert second.getMessage() == "following orders: goes on"
