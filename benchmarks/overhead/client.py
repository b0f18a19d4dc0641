"""The generated client against grpcio's bare stub: CPU of the calling process, this one."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Final

from measure.v1 import measure_pb2 as pb
from measure.v1.measure_mesh import MeasureServiceClient

from meshpact.clients import Channel
from meshpact.interceptors.call import Call, Caller, CallInfo, current_call
from overhead.control import measured
from overhead.driver import Chunk, Clock, Effort, channel, interleave, spread
from overhead.figures import Missing, Row, Samples, microseconds, ratio
from overhead.stage import CALLER, SERVER_ID, Stage
from overhead.work import ANSWER, CHECK, MEASURE_SERVICE, REQUEST, traces

SAYS: Final = "generated client with deadline, trace and typed errors / bare stub"
GOAL: Final = 1.12
QUIET_SECONDS: Final = 0.002


class OwnClock:
    """The CPU time of this process."""

    def cpu_ns(self) -> int:
        """All threads."""
        time.sleep(QUIET_SECONDS)
        return time.process_time_ns()


async def measure(effort: Effort) -> list[Row | Missing]:
    """The row of the client. Calls are made as a handler makes them: within a call, traced.

    The bare stub parses and serializes, and sends neither deadline nor trace.
    """
    async with contextlib.AsyncExitStack() as stack:
        stage = Stage.make(Path(stack.enter_context(tempfile.TemporaryDirectory())))
        server = stack.enter_context(measured("overhead.server_aio", str(stage.folder)))
        port = server.ready["ports"]["main"]
        bare = await stack.enter_async_context(channel(stage, port))
        again = await stack.enter_async_context(channel(stage, port))
        ours = await stack.enter_async_context(
            Channel(
                f"127.0.0.1:{port}",
                identity=stage.identity(CALLER),
                callee=SERVER_ID,
                services=[MEASURE_SERVICE],
            )
        )
        await ours.wait_ready(10)
        client = MeasureServiceClient(ours)
        chunks: Mapping[str, Chunk] = {
            "bare stub": await _chunk(_stub(bare)),
            "bare stub again": await _chunk(_stub(again)),
            "generated client": await _chunk(client.check),
        }
        clock: Clock = OwnClock()
        samples = await interleave(clock, chunks, effort, lambda found: _row(found).conclusive)
        return [_row(samples)]


def _stub(there: Any) -> Callable[[pb.CheckRequest], Awaitable[pb.CheckResponse]]:
    stub: Callable[[pb.CheckRequest], Awaitable[pb.CheckResponse]] = there.unary_unary(
        CHECK.path,
        request_serializer=pb.CheckRequest.SerializeToString,
        response_deserializer=pb.CheckResponse.FromString,
    )
    return stub


async def _chunk(check: Callable[[pb.CheckRequest], Awaitable[pb.CheckResponse]]) -> Chunk:
    assert await check(REQUEST) == ANSWER

    async def one() -> None:
        await check(REQUEST)

    plain = spread(one)

    async def chunk() -> int:
        current_call.set(_within())
        return await plain()

    async def apart() -> int:
        return await asyncio.create_task(chunk())

    return apart


def _within() -> Call:
    """A call that is being handled: sampled, with ten seconds left."""
    [(_, traceparent)] = traces(10, 1)[0]
    return Call(
        CallInfo(
            CHECK.path,
            CHECK.policy,
            Caller("spiffe://measure.example/caller"),
            time.monotonic() + 10,
            (),
            traceparent,
        )
    )


def _row(samples: Mapping[str, Samples]) -> Row:
    found = ratio(samples["generated client"], samples["bare stub"], samples["bare stub again"])
    again = ratio(samples["bare stub again"], samples["bare stub"])
    return Row(
        "overhead-client",
        SAYS,
        "<=",
        GOAL,
        round(found.value, 4),
        round(found.low, 4),
        round(found.high, 4),
        round(again.value - 1, 4),
        len(samples["bare stub"]),
        microseconds(samples),
    )
