"""Unary calls: the full chain and less of it, on aio and on threads, against bare grpcio."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import grpc.aio

from overhead import contrib, many
from overhead.control import Measured, measured
from overhead.driver import Chunk, Effort, channel, interleave, unary
from overhead.figures import Missing, Ratio, Row, Samples, microseconds, ratio
from overhead.stage import Stage
from overhead.work import AGAIN, BARE, CHECK, PASS, traces

FULL: Final = Effort(rounds=120, most=600, seconds=240)
QUICK: Final = Effort(rounds=60, most=240, seconds=28)


def how_long(quick: bool) -> Effort:
    """What a figure of unary calls is worth."""
    return QUICK if quick else FULL


@dataclass(frozen=True)
class Question:
    """One row: a variant against its base."""

    name: str
    says: str
    op: str
    goal: float
    variant: str
    base: str = "bare"
    again: str = "bare again"
    against: str = "bare"
    """What `again` is equal to."""


AIO: Final = Question(
    "overhead-aio", "aio, full chain, every call sampled / bare", "<=", 1.28, "full 100 %"
)
AIO_TENTH: Final = Question(
    "overhead-aio-tenth", "aio, full chain, 10 % sampled by the parent / bare", "<=", 1.24, "full"
)
AIO_LESS: Final = Question(
    "overhead-aio-less", "aio, no validation rules, no tracing / bare", "<=", 1.10, "less"
)
CONTRIB: Final = Question(
    "overhead-contrib",
    "aio, full chain, every call sampled / OpenTelemetry's contrib interceptor alone",
    "<",
    1.0,
    "full 100 %",
    base="contrib",
)
SYNC: Final = Question(
    "overhead-sync", "sync, full chain, 10 % sampled by the parent / bare", "<=", 1.30, "full"
)
MANY: Final = Question(
    "overhead-200-methods",
    "aio, full chain at 10 %, 200 methods, calls of one / stock _pb2_grpc registration of the same",
    "<=",
    0.95,
    "guarded",
    base="stock",
    again="stock again",
    against="stock",
)


async def aio(
    questions: Sequence[Question], effort: Effort, *, with_contrib: bool = False
) -> list[Row | Missing]:
    """The rows of grpc.aio out of one server process."""
    rows: list[Row | Missing] = []
    folder: Path | None = None
    if with_contrib:
        try:
            folder = contrib.install()
        except contrib.NotInstallable as error:
            rows.append(Missing(CONTRIB.name, CONTRIB.says, f"not installable here: {error}"))
        else:
            questions = [*questions, CONTRIB]
    wanted = {q.variant for q in questions} | {q.base for q in questions}
    async with contextlib.AsyncExitStack() as stack:
        stage = Stage.make(Path(stack.enter_context(tempfile.TemporaryDirectory())))
        argv = [str(stage.folder), *([str(folder)] if folder is not None else [])]
        server = stack.enter_context(measured("overhead.server_aio", *argv))
        main = await stack.enter_async_context(channel(stage, server.ready["ports"]["main"]))
        chunks = {
            "bare": await unary(main, [f"{BARE}/Check"], traces(1)),
            "bare again": await unary(main, [f"{AGAIN}/Check"], traces(1)),
        }
        if "full 100 %" in wanted:
            chunks["full 100 %"] = await unary(main, [CHECK.path], traces(10))
        if "full" in wanted:
            chunks["full"] = await unary(main, [CHECK.path], traces(1))
        if "less" in wanted:
            chunks["less"] = await unary(main, [PASS.path], traces(1))
        if folder is not None:
            port = server.ready["ports"]["contrib"]
            apart = await stack.enter_async_context(channel(stage, port))
            chunks["contrib"] = await unary(apart, [f"{BARE}/Check"], traces(10))
        return [*await _answers(server, chunks, questions, effort), *rows]


async def sync(effort: Effort) -> list[Row | Missing]:
    """The row of grpc.server."""
    async with contextlib.AsyncExitStack() as stack:
        stage = Stage.make(Path(stack.enter_context(tempfile.TemporaryDirectory())))
        server = stack.enter_context(measured("overhead.server_sync", str(stage.folder)))
        main = await stack.enter_async_context(channel(stage, server.ready["ports"]["main"]))
        chunks = {
            "bare": await unary(main, [f"{BARE}/Check"], traces(1)),
            "bare again": await unary(main, [f"{AGAIN}/Check"], traces(1)),
            "full": await unary(main, [CHECK.path], traces(1)),
        }
        return [*await _answers(server, chunks, [SYNC], effort)]


async def methods(effort: Effort) -> list[Row | Missing]:
    """The row of 200 methods.

    Calls go to one of them: stock grpc.aio waits for the next call of every registered method
    anew each time one arrives. When calls of many methods arrive at once they share that wait;
    what is left of the difference then stands in `extra`.
    """
    async with contextlib.AsyncExitStack() as stack:
        stage = Stage.make(Path(stack.enter_context(tempfile.TemporaryDirectory())))
        many.make(stage)
        server = stack.enter_context(measured("overhead.server_aio", str(stage.folder)))
        paths = [f"{many.PREFIX}/{name}" for name in many.NAMES]
        there: dict[str, grpc.aio.Channel] = {}
        for name in ("stock", "stock again", "many"):
            port = server.ready["ports"][name]
            there[name] = await stack.enter_async_context(channel(stage, port))
        hot = paths[len(paths) // 2 :][:1]
        chunks = {
            "stock": await unary(there["stock"], hot, traces(1)),
            "stock again": await unary(there["stock again"], hot, traces(1)),
            "guarded": await unary(there["many"], hot, traces(1)),
            "stock, all methods in turn": await unary(there["stock"], paths, traces(1)),
            "guarded, all methods in turn": await unary(there["many"], paths, traces(1)),
        }
        samples = await _samples(server, chunks, [MANY], effort)
        spread = ratio(
            samples["guarded, all methods in turn"], samples["stock, all methods in turn"]
        )
        return [_row(samples, MANY, {"all methods in turn": asdict(spread)})]


async def _answers(
    server: Measured, chunks: Mapping[str, Chunk], questions: Sequence[Question], effort: Effort
) -> list[Row]:
    samples = await _samples(server, chunks, questions, effort)
    return [_row(samples, question) for question in questions]


async def _samples(
    server: Measured, chunks: Mapping[str, Chunk], questions: Sequence[Question], effort: Effort
) -> dict[str, list[float]]:
    def enough(samples: Mapping[str, Samples]) -> bool:
        return all(_row(samples, question).conclusive for question in questions)

    before = server.seen()
    samples = await interleave(server, chunks, effort, enough)
    seen = server.seen()
    assert seen["calls"] > before["calls"], "the guard's metrics counted nothing: it was not there"
    assert seen["spans"] > before["spans"], "no span was exported: tracing was not there"
    return samples


def _row(
    samples: Mapping[str, Samples], question: Question, extra: Mapping[str, object] | None = None
) -> Row:
    bases = [question.base]
    if question.base == question.against:
        bases.append(question.again)
    found: Ratio = ratio(samples[question.variant], *(samples[base] for base in bases))
    again = ratio(samples[question.again], samples[question.against])
    return Row(
        question.name,
        question.says,
        question.op,
        question.goal,
        round(found.value, 4),
        round(found.low, 4),
        round(found.high, 4),
        round(again.value - 1, 4),
        len(samples[question.base]),
        microseconds(samples),
        extra=extra or {},
    )
