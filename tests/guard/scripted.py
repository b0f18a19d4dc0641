"""The demo service with handlers that a test directs: each key that comes in runs the script.

A key is a number in decimal digits, so that one key fits the requests of all four shapes.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, Final, TypeVar

import demoservice
from demo.v1 import demo_pb2 as pb
from meshpact.interceptors.call import Call
from meshpact.testing.rawwire import grpc_message

T = TypeVar("T")
SERVICE: Final = "/demo.v1.DemoService"
SHAPES: Final = {"unary": "Echo", "server": "Count", "client": "Sum", "bidi": "Chat"}
"""A method of the demo contract for each shape."""
WAIT: Final = 77
"""The key whose handler stands still until it is told to go on."""
KEY: Final = 5


class Script:
    """What handlers do. `act` may raise, `respond` exchanges their responses; `entered` says that
    a handler stands still at WAIT."""

    def __init__(self) -> None:
        self.act: Callable[[int], object] = lambda _key: None
        self.respond: Callable[[Any], Any] = lambda response: response
        self.entered = threading.Event()
        self.go = threading.Event()

    def answer(self, response: T) -> T:
        """What a handler gives for the response that the contract asks for."""
        given: T = self.respond(response)
        return given

    def wait(self) -> None:
        """Stands still."""
        self.entered.set()
        self.go.wait(60)


class Scripted(demoservice.Demo):
    """aio."""

    def __init__(self, script: Script) -> None:
        super().__init__()
        self._script = script

    async def _run(self, key: int) -> None:
        self._script.act(key)
        if key == WAIT:
            await asyncio.to_thread(self._script.wait)

    async def echo(self, request: pb.EchoRequest, call: Call, /) -> pb.EchoResponse:
        await self._run(int(request.text))
        return self._script.answer(pb.EchoResponse(text=request.text))

    async def count(
        self, request: pb.CountRequest, call: Call, /
    ) -> AsyncIterator[pb.CountResponse]:
        await self._run(request.to)
        yield self._script.answer(pb.CountResponse(number=request.to))

    async def sum(self, requests: AsyncIterator[pb.SumRequest], call: Call, /) -> pb.SumResponse:
        total = 0
        async for request in requests:
            await self._run(request.number)
            total += request.number
        return self._script.answer(pb.SumResponse(sum=total))

    async def chat(
        self, requests: AsyncIterator[pb.ChatRequest], call: Call, /
    ) -> AsyncIterator[pb.ChatResponse]:
        async for request in requests:
            await self._run(int(request.text))
            yield self._script.answer(pb.ChatResponse(text=request.text))


class ScriptedSync(demoservice.DemoSync):
    """For threads."""

    def __init__(self, script: Script) -> None:
        super().__init__()
        self._script = script

    def _run(self, key: int) -> None:
        self._script.act(key)
        if key == WAIT:
            self._script.wait()

    def echo(self, request: pb.EchoRequest, call: Call, /) -> pb.EchoResponse:
        self._run(int(request.text))
        return self._script.answer(pb.EchoResponse(text=request.text))

    def count(self, request: pb.CountRequest, call: Call, /) -> Iterator[pb.CountResponse]:
        self._run(request.to)
        yield self._script.answer(pb.CountResponse(number=request.to))

    def sum(self, requests: Iterator[pb.SumRequest], call: Call, /) -> pb.SumResponse:
        total = 0
        for request in requests:
            self._run(request.number)
            total += request.number
        return self._script.answer(pb.SumResponse(sum=total))

    def chat(self, requests: Iterator[pb.ChatRequest], call: Call, /) -> Iterator[pb.ChatResponse]:
        for request in requests:
            self._run(int(request.text))
            yield self._script.answer(pb.ChatResponse(text=request.text))


def servicer(kind: str, script: Script) -> demoservice.Demo | demoservice.DemoSync:
    """A scripted servicer for a kind of server."""
    return Scripted(script) if kind == "aio" else ScriptedSync(script)


def body(shape: str, key: int) -> bytes:
    """The request of a shape that holds a key."""
    if shape == "server":
        return pb.CountRequest(to=key).SerializeToString()
    if shape == "client":
        return pb.SumRequest(number=key).SerializeToString()
    return pb.EchoRequest(text=str(key)).SerializeToString()


def message(shape: str, key: int) -> bytes:
    """The same, framed."""
    return grpc_message(body(shape, key))


def path(shape: str) -> str:
    """The path of a shape's method."""
    return f"{SERVICE}/{SHAPES[shape]}"
