"""The load: chunks of calls of each variant in turn, with the measured process's clock around."""

from __future__ import annotations

import asyncio
import random
import sys
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final, Protocol

import grpc
import grpc.aio

from meshpact.certs.credentials import channel_credentials, channel_options
from overhead.figures import Samples
from overhead.stage import CALLER, SERVER_ID, Stage
from overhead.work import BODY, TIMEOUT, Pairs, same_answer

IN_FLIGHT: Final = 32
CHUNK: Final = 100
WARM_UP: Final = 5
"""Rounds whose figures are thrown away."""

Chunk = Callable[[], Awaitable[int]]
"""Makes one chunk of calls; gives how many calls, or messages, it was."""


class Clock(Protocol):
    """What knows the CPU time of the measured process."""

    def cpu_ns(self) -> int:
        """Nanoseconds of CPU so far, once the process has nothing left to do."""
        ...


@dataclass(frozen=True)
class Effort:
    """How long to go on: `rounds`, and more, up to `most`, while equal things still differ.

    `seconds` ends it earlier, once `rounds` are done.
    """

    rounds: int
    most: int
    seconds: float


@asynccontextmanager
async def channel(stage: Stage, port: int) -> AsyncGenerator[grpc.aio.Channel]:
    """A connection of its own to one measured server."""
    async with grpc.aio.secure_channel(
        f"127.0.0.1:{port}",
        channel_credentials(stage.identity(CALLER)),
        options=[*channel_options(SERVER_ID), ("grpc.use_local_subchannel_pool", 1)],
    ) as made:
        await asyncio.wait_for(made.channel_ready(), 10)
        yield made


async def unary(connection: grpc.aio.Channel, paths: list[str], traces: list[Pairs]) -> Chunk:
    """Chunks of unary calls over `paths` in turn, each with the next trace.

    Every path is called once before, and must answer what all variants answer.
    """
    multis: list[Any] = [connection.unary_unary(path) for path in paths]
    for multi in multis:
        assert same_answer(await multi(BODY, metadata=traces[0], timeout=TIMEOUT))
    made = 0

    async def one() -> None:
        nonlocal made
        number = made
        made += 1
        metadata = traces[number % len(traces)]
        await multis[number % len(multis)](BODY, metadata=metadata, timeout=TIMEOUT)

    return spread(one)


def spread(one: Callable[[], Awaitable[None]], calls: int = CHUNK) -> Chunk:
    """A chunk of `calls` of `one`, IN_FLIGHT at a time."""

    async def chunk() -> int:
        left = iter(range(calls))

        async def worker() -> None:
            for _ in left:
                await one()

        await asyncio.gather(*(worker() for _ in range(IN_FLIGHT)))
        return calls

    return chunk


async def interleave(
    clock: Clock,
    chunks: Mapping[str, Chunk],
    effort: Effort,
    enough: Callable[[Mapping[str, Samples]], bool],
) -> dict[str, list[float]]:
    """Nanoseconds of CPU a call, by variant, one a round.

    The order within a round is drawn anew each time, so that none always follows the same other.
    """
    order = list(chunks)
    found: dict[str, list[float]] = {name: [] for name in order}
    source = random.Random(7)
    began = time.monotonic()
    turn = -WARM_UP
    while True:
        source.shuffle(order)
        before = clock.cpu_ns()
        for name in order:
            calls = await chunks[name]()
            after = clock.cpu_ns()
            if turn >= 0:
                found[name].append((after - before) / calls)
            before = after
        turn += 1
        late = time.monotonic() - began > effort.seconds
        if turn >= effort.most or (late and turn >= effort.rounds // 2):
            return found
        if turn >= effort.rounds and turn % 20 == 0:
            if enough(found):
                return found
            print(f"  {turn} rounds: equal things still differ, going on", file=sys.stderr)
