"""Streams: what the wrapper adds to a message, server streaming and bidirectional."""

from __future__ import annotations

import asyncio
import contextlib
import statistics
import tempfile
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import grpc.aio
from measure.v1 import measure_pb2 as pb

from overhead.control import measured
from overhead.driver import IN_FLIGHT, Chunk, Effort, channel, interleave
from overhead.figures import Missing, Row, Samples, microseconds, share
from overhead.stage import Stage
from overhead.work import AGAIN, BARE, SKU, TALK, WATCH, traces

SAYS: Final = "streaming: CPU per message, wrapped minus bare, the worse of server and bidi"
GOAL: Final = 2.0
TIMEOUT: Final = 120.0
METADATA: Final = traces(10)[0]
KINDS: Final = ("Watch", "Talk")
EMPTY: Final = ", no messages"


@dataclass(frozen=True)
class Sample:
    """How many messages: each chunk has IN_FLIGHT streams of `messages` each, at once."""

    messages: int
    effort: Effort


FULL: Final = Sample(250, Effort(rounds=125, most=375, seconds=1200))
"""125 rounds of 8,000 messages of each variant: 10^6 wrapped messages of each kind."""
QUICK: Final = Sample(125, Effort(rounds=16, most=400, seconds=32))


async def measure(sample: Sample) -> list[Row | Missing]:
    """The row of streaming, with both kinds in `extra`."""
    async with contextlib.AsyncExitStack() as stack:
        stage = Stage.make(Path(stack.enter_context(tempfile.TemporaryDirectory())))
        server = stack.enter_context(
            measured("overhead.server_aio", str(stage.folder), pinned=True)
        )
        there = await stack.enter_async_context(channel(stage, server.ready["ports"]["main"]))
        chunks: dict[str, Chunk] = {}
        for kind, path in zip(KINDS, (WATCH.path, TALK.path), strict=True):
            drive = {"Watch": _watch, "Talk": _talk}[kind]
            bare = f"{BARE}/{kind}"
            chunks[f"{kind}, bare"] = drive(there, bare, sample.messages)
            chunks[f"{kind}, bare again"] = drive(there, f"{AGAIN}/{kind}", sample.messages)
            chunks[f"{kind}, wrapped"] = drive(there, path, sample.messages)
            chunks[f"{kind}, bare{EMPTY}"] = drive(there, bare, 0)
            chunks[f"{kind}, wrapped{EMPTY}"] = drive(there, path, 0)
        before = server.seen()
        samples = await interleave(
            server, chunks, sample.effort, lambda found: _row(found, sample).conclusive
        )
        assert server.seen()["calls"] > before["calls"], "the guard was not there"
        return [_row(samples, sample)]


def _row(samples: Mapping[str, Samples], sample: Sample) -> Row:
    bare = {kind: _messages(samples, kind, "bare", sample) for kind in KINDS}
    again = {kind: _messages(samples, kind, "bare again", sample) for kind in KINDS}
    wrapped = {kind: _messages(samples, kind, "wrapped", sample) for kind in KINDS}
    found = {kind: share(wrapped[kind], bare[kind], again[kind]) for kind in KINDS}
    equal = {kind: share(again[kind], bare[kind]) for kind in KINDS}
    worse = max(KINDS, key=lambda kind: found[kind].value)
    apart = equal[max(KINDS, key=lambda kind: abs(equal[kind].value))].value
    rounds = len(bare["Watch"])
    return Row(
        "overhead-stream",
        SAYS,
        "<=",
        GOAL,
        round(found[worse].value, 3),
        round(found[worse].low, 3),
        round(found[worse].high, 3),
        round(apart, 3),
        rounds,
        microseconds(samples),
        unit="%",
        extra={
            "worse": worse,
            "messages": rounds * IN_FLIGHT * sample.messages,
            "wrapped": {kind: asdict(found[kind]) for kind in KINDS},
            "again": {kind: asdict(equal[kind]) for kind in KINDS},
        },
    )


def _messages(
    samples: Mapping[str, Samples], kind: str, variant: str, sample: Sample
) -> list[float]:
    """What a message costs: a stream's CPU without that of a stream which has none."""
    empty = statistics.median(samples[f"{kind}, {variant.removesuffix(' again')}{EMPTY}"])
    return [each - empty / sample.messages for each in samples[f"{kind}, {variant}"]]


def _watch(there: grpc.aio.Channel, path: str, messages: int) -> Chunk:
    multi: grpc.aio.UnaryStreamMultiCallable[bytes, bytes] = there.unary_stream(path)
    body = pb.WatchRequest(messages=messages).SerializeToString()

    async def one() -> int:
        return await _count(multi(body, metadata=METADATA, timeout=TIMEOUT))

    return _all(one, messages)


def _talk(there: grpc.aio.Channel, path: str, messages: int) -> Chunk:
    multi: grpc.aio.StreamStreamMultiCallable[bytes, bytes] = there.stream_stream(path)
    body = pb.TalkRequest(sku=SKU, number=1).SerializeToString()

    async def say() -> AsyncIterator[bytes]:
        for _ in range(messages):
            yield body

    async def one() -> int:
        return await _count(multi(say(), metadata=METADATA, timeout=TIMEOUT))

    return _all(one, messages)


async def _count(responses: AsyncIterable[bytes]) -> int:
    count = 0
    async for _ in responses:
        count += 1
    return count


def _all(one: Callable[[], Awaitable[int]], messages: int) -> Chunk:
    async def chunk() -> int:
        counts = await asyncio.gather(*(one() for _ in range(IN_FLIGHT)))
        assert set(counts) == {messages}, f"streams of {messages} messages gave {counts}"
        return sum(counts) or IN_FLIGHT

    return chunk
