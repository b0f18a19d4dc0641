"""A message at fault ends its call, whatever the handler makes of the exception."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import grpc
import pytest

import demoservice
from demo.v1 import demo_pb2 as pb
from guard.scripted import path
from guard.situations import KINDS, ROLE
from meshpact.interceptors.call import Call
from meshpact.interceptors.errors import StatusError
from meshpact.testing.hosting import Kind, Workbench
from meshpact.testing.rawwire import grpc_message

GOOD = grpc_message(pb.SumRequest(number=1).SerializeToString())
TOO_MUCH = grpc_message(pb.SumRequest(number=10**9).SerializeToString())
GARBAGE = grpc_message(b"\xff\xff\xff")


class Careless(demoservice.Demo):
    """Reads in a task of its own and takes no notice of what goes wrong there."""

    async def sum(self, requests: AsyncIterator[pb.SumRequest], call: Call, /) -> pb.SumResponse:
        async def read() -> None:
            with contextlib.suppress(StatusError):
                async for _ in requests:
                    pass

        await asyncio.create_task(read())
        return pb.SumResponse(sum=42)


class CarelessSync(demoservice.DemoSync):
    """The same, on a thread of its own."""

    def sum(self, requests: Iterator[pb.SumRequest], call: Call, /) -> pb.SumResponse:
        def read() -> None:
            with contextlib.suppress(StatusError):
                for _ in requests:
                    pass

        reader = threading.Thread(target=read)
        reader.start()
        reader.join(60)
        return pb.SumResponse(sum=42)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("messages", "code", "reason"),
    [
        (GOOD + GOOD, grpc.StatusCode.OK, ""),
        (GOOD + TOO_MUCH, grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST"),
        (GOOD + TOO_MUCH + GOOD, grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST"),
        (GARBAGE, grpc.StatusCode.INTERNAL, "MALFORMED_REQUEST"),
    ],
    ids=["sound", "last", "amid", "garbage"],
)
def test_a_handler_cannot_swallow_a_fault(
    kind: Kind, messages: bytes, code: grpc.StatusCode, reason: str
) -> None:
    def servicers() -> list[Any]:
        return [Careless() if kind == "aio" else CarelessSync()]

    with Workbench() as bench:
        bench.roles.set({bench.id_of("caller"): {ROLE}})
        with bench.serving(kind, servicers) as port, bench.connect(port, "caller") as wire:
            answer = wire.call(path("client"), messages)
    assert (answer.code, answer.reason) == (code, reason)
    assert bool(answer.messages) == (code is grpc.StatusCode.OK)
