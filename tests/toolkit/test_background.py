"""Work in the background: it goes on after every fault, tells of it, ends before databases do."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from meshpact.interceptors.errors import MeshpactError
from meshpact.mesh.config import load
from meshpact.mesh.state import State
from meshpact.servers import background
from meshpact.servers.background import CannotGoOn, Job, goes_well
from meshpact.servers.context import ServiceContext
from meshpact.testing.clock import Clock

MESH = """
trust_domain: shop.example
services:
  store: { factory: "shop:create", address: "127.0.0.1:0" }
"""


class Rounds:
    """Work that fails as `fails` says, in turn, and then does well. `hangs`: it runs on and on."""

    def __init__(self, *fails: BaseException | None, hangs: bool = False) -> None:
        self.fails = list(fails)
        self.hangs = hangs
        self.begun = 0
        self.ended = 0
        self._began = asyncio.Condition()

    async def __call__(self) -> None:
        async with self._began:
            self.begun += 1
            self._began.notify_all()
        try:
            fault = self.fails.pop(0) if self.fails else None
            if fault is not None:
                raise fault
            if self.hangs:
                await asyncio.Event().wait()
        finally:
            self.ended += 1

    async def reached(self, count: int) -> None:
        async with asyncio.timeout(60), self._began:
            await self._began.wait_for(lambda: self.begun >= count)


class Away(MeshpactError):
    """What the work needs is not there."""


@pytest.fixture
async def clock() -> AsyncIterator[Clock]:
    """Moves the timers of the test's loop."""
    made = Clock()
    made.attach(asyncio.get_running_loop())
    yield made
    made.detach()


@pytest.fixture
async def context(tmp_path: Path) -> AsyncIterator[ServiceContext]:
    (tmp_path / "mesh.yaml").write_text(MESH)
    made = ServiceContext(
        config=load(tmp_path / "mesh.yaml"),
        service="store",
        state=State(tmp_path / "state").create(),
        root=tmp_path,
        addresses={},
    )
    yield made
    await made.aclose()


async def turns() -> None:
    """Lets all that is due run."""
    for _ in range(20):
        await asyncio.sleep(0)


async def test_work_begins_when_the_process_is_ready(context: ServiceContext) -> None:
    early, soon, late = Rounds(), Rounds(), Rounds()
    context.background("soon", soon)
    context.background("early", early).start()
    await early.reached(1)
    assert soon.begun == 0
    context.ready()
    await soon.reached(1)
    context.background("late", late)
    await late.reached(1)
    assert (early.begun, soon.begun, late.begun) == (1, 1, 1), "each is done after one good round"


async def test_work_is_done_again_after_its_time(context: ServiceContext, clock: Clock) -> None:
    rounds = Rounds()
    job = context.background("counting", rounds, every=300)
    context.ready()
    await rounds.reached(1)
    await turns()
    clock.advance(299)
    await turns()
    assert rounds.begun == 1
    clock.advance(2)
    await rounds.reached(2)
    await job.run_now()
    assert rounds.begun == 3
    job.wake()
    await rounds.reached(4)


async def test_pauses_after_failures_grow_and_begin_anew_after_a_good_round(
    context: ServiceContext, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    away = [Away(f"try {number}") for number in range(5)]
    rounds = Rounds(*away, None, Away("again"))
    job = context.background("fetching", rounds, every=1000, pause=1, pause_at_most=5)
    with caplog.at_level(logging.INFO, background.__name__):
        context.ready()
        for count, longest in enumerate((1, 2, 4, 5, 5), 1):
            await rounds.reached(count)
            await turns()
            clock.advance(longest / 2 - 0.1)
            await turns()
            assert rounds.begun == count, "at least half of the pause"
            clock.advance(longest / 2 + 0.2)
        await rounds.reached(6)
        with pytest.raises(Away, match="again"):
            await job.run_now()
    told = [each.getMessage() for each in caplog.records]
    assert [each.partition("within ")[2].partition(" s")[0] for each in told] == [
        *("1", "2", "4", "5", "5"),
        "",
        "1",
    ]
    assert told[0] == "fetching: failed, tried again within 1 s: Away: try 0"
    assert told[5] == "fetching: goes on"


@pytest.mark.parametrize(
    ("fault", "level", "traceback"),
    [
        (Away("not there"), logging.WARNING, False),
        (OSError("full"), logging.WARNING, False),
        (CannotGoOn("too old"), logging.ERROR, False),
        (ValueError("a fault"), logging.ERROR, True),
    ],
)
async def test_a_failure_is_logged_once_until_it_goes_on(
    fault: Exception, level: int, traceback: bool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, background.__name__)
    rounds = Rounds(None, fault, fault, fault)
    job = Job("fetching", rounds, every=0, pause=0)
    job.start()
    await rounds.reached(6)
    await job.close()
    first, second = caplog.records
    assert (first.levelno, first.exc_info is not None) == (level, traceback)
    assert str(fault) in first.getMessage()
    assert second.getMessage() == "fetching: goes on"


async def test_what_is_not_there_at_the_start_is_no_warning_until_it_lasts(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, background.__name__)
    rounds = Rounds(*[Away("starting")] * 3)
    job = Job("fetching", rounds, every=1000, pause=1, patience=10)
    job.start()
    await rounds.reached(1)
    clock.advance(2)
    await rounds.reached(2)
    clock.advance(10)
    await rounds.reached(3)
    await turns()
    await job.close()
    assert [each.levelno for each in caplog.records] == [logging.INFO, logging.WARNING]


@pytest.mark.parametrize(("fault", "after"), [(Away("gone"), 60), (CannotGoOn("too old"), 0)])
async def test_health_tells_of_work_that_fails_for_too_long(
    context: ServiceContext, clock: Clock, fault: Exception, after: float
) -> None:
    health: list[tuple[str, bool]] = []
    context.tell_health(lambda name, good: health.append((name, good)))
    rounds = Rounds(None, fault, fault)
    job = context.background("work", rounds, every=1000, health="shop.work", patience=60)
    context.ready()
    await rounds.reached(1)
    await turns()
    assert health[-1] == ("shop.work", True)
    with pytest.raises(type(fault)):
        await job.run_now()
    assert health[-1] == ("shop.work", after > 0)
    clock.advance(after)
    await rounds.reached(3) if after else await turns()
    await turns()
    assert health[-1] == ("shop.work", False)
    rounds.fails.clear()
    await job.run_now()
    assert health[-1] == ("shop.work", True)


async def test_work_that_runs_on_tells_that_it_goes_well(clock: Clock) -> None:
    told: list[bool] = []
    steps: asyncio.Queue[Exception | None] = asyncio.Queue()

    async def work() -> None:
        while (step := await steps.get()) is None:
            goes_well()
        raise step

    job = Job("watching", work, every=0, pause=0, patience=0, told=told.append)
    job.start()
    steps.put_nowait(Away("gone"))
    await turns()
    assert told == [True, False]
    steps.put_nowait(None)
    await turns()
    assert told == [True, False, True]
    steps.put_nowait(Away("gone"))
    await turns()
    assert told[-1:] == [False]
    clock.advance(31)
    await turns()
    assert told[-1:] == [True], "a round that lasts goes well, though nothing comes"
    await job.close()
    goes_well()  # in no job


async def test_what_others_cancelled_under_the_work_does_not_end_it() -> None:
    rounds = Rounds(asyncio.CancelledError())
    job = Job("work", rounds, every=0, pause=0)
    with pytest.raises(RuntimeError, match="what it waited for was cancelled"):
        await job.run_now()
    await rounds.reached(2)
    await job.close()


async def test_work_ends_before_what_it_works_on(
    context: ServiceContext, caplog: pytest.LogCaptureFixture
) -> None:
    ended: list[str] = []
    working = asyncio.Event()

    async def work() -> None:
        working.set()
        try:
            await asyncio.Event().wait()
        finally:
            await turns()
            ended.append("work")

    async def close() -> None:
        ended.append("database")

    job = context.background("work", work)
    context.on_close(close)
    context.ready()
    await working.wait()
    waiting = asyncio.create_task(job.run_now())
    await turns()
    await context.aclose()
    assert ended == ["work", "database"]
    with pytest.raises(RuntimeError, match="work has ended"):
        await waiting
    with pytest.raises(RuntimeError, match="work has ended"):
        await job.run_now()
    assert caplog.records == []


async def test_work_that_does_not_end_is_left_alone_after_a_while(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    may = asyncio.Event()

    async def work() -> None:
        while not may.is_set():
            try:
                await may.wait()
            except asyncio.CancelledError:
                continue

    job = Job("stubborn", work)
    job.start()
    await turns()
    closing = asyncio.create_task(job.close())
    await turns()
    clock.advance(background.END_WITHIN + 1)
    await asyncio.wait_for(closing, 60)
    assert [each.getMessage() for each in caplog.records] == [
        "stubborn: does not end, it is left alone"
    ]
    may.set()
    await turns()


async def test_work_that_never_began_closes(context: ServiceContext) -> None:
    rounds = Rounds()
    await Job("work", rounds).close()
    context.background("other", rounds)
    await context.aclose()
    assert rounds.begun == 0


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Job("work", Rounds(), every=-1), "every is -1; allowed: 0 or more seconds"),
        (lambda: Job("work", Rounds(), pause=float("nan")), "pause is nan"),
        (lambda: Job("work", Rounds(), pause=2, pause_at_most=1), "pause_at_most is 1, below"),
    ],
)
async def test_times_that_make_no_sense_are_refused(make: Callable[[], Job], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        make()


async def test_each_work_has_a_name_of_its_own(context: ServiceContext) -> None:
    job = context.background("work", Rounds())
    assert context.job("work") is job
    with pytest.raises(ValueError, match="two jobs are named 'work'"):
        context.background("work", Rounds())
    with pytest.raises(ValueError, match="found 'wrok'; jobs in the background: work"):
        context.job("wrok")
