"""The service of tests/demo_contract, aio and sync: says what it is asked to say."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator

from demo.v1 import demo_mesh, demo_pb2
from meshpact.interceptors.call import Call


class Demo(demo_mesh.DemoServiceBase):
    """aio. `running` and `ended` say what happens inside to a test that waits for it."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.running = asyncio.Event()
        self.ended = asyncio.Event()
        self.release = asyncio.Event()
        self.how = ""
        """How the last held call or endless stream ended: the exception's name, or "done"."""

    async def echo(self, request: demo_pb2.EchoRequest, call: Call, /) -> demo_pb2.EchoResponse:
        self.calls.append("Echo")
        if request.text == "bad":
            raise demo_mesh.BadWord(word="bad", left=3)
        if request.text == "crash":
            raise RuntimeError("the secret is 42")
        return demo_pb2.EchoResponse(text=request.text)

    async def count(
        self, request: demo_pb2.CountRequest, call: Call, /
    ) -> AsyncIterator[demo_pb2.CountResponse]:
        self.calls.append("Count")
        try:
            for number in range(1, request.to + 1):
                if number == 13:
                    raise demo_mesh.OutOfBreath()
                self.running.set()
                yield demo_pb2.CountResponse(number=number)
            self.how = "done"
        except BaseException as end:
            self.how = type(end).__name__
            raise
        finally:
            self.ended.set()

    async def sum(
        self, requests: AsyncIterator[demo_pb2.SumRequest], call: Call, /
    ) -> demo_pb2.SumResponse:
        self.calls.append("Sum")
        total = count = 0
        async for request in requests:
            if request.number == -13:
                raise demo_mesh.BadWord(word="-13", left=0)
            total += request.number
            count += 1
        return demo_pb2.SumResponse(sum=total, count=count)

    async def chat(
        self, requests: AsyncIterator[demo_pb2.ChatRequest], call: Call, /
    ) -> AsyncIterator[demo_pb2.ChatResponse]:
        self.calls.append("Chat")
        self.running.set()
        try:
            async for request in requests:
                if request.text == "bad":
                    raise demo_mesh.BadWord(word="bad", left=1)
                yield demo_pb2.ChatResponse(text=request.text)
            self.how = "done"
        except BaseException as end:
            self.how = type(end).__name__
            raise
        finally:
            self.ended.set()

    async def register(
        self, request: demo_pb2.RegisterRequest, call: Call, /
    ) -> demo_pb2.RegisterResponse:
        self.calls.append("Register")
        return demo_pb2.RegisterResponse(id=request.name)

    async def knock(self, request: demo_pb2.KnockRequest, call: Call, /) -> demo_pb2.KnockResponse:
        self.calls.append("Knock")
        return demo_pb2.KnockResponse()

    async def hold(self, request: demo_pb2.HoldRequest, call: Call, /) -> demo_pb2.HoldResponse:
        self.calls.append("Hold")
        self.running.set()
        try:
            if request.milliseconds < 0:
                await self.release.wait()
            else:
                await asyncio.sleep(request.milliseconds / 1000)
            self.how = "done"
        except BaseException as end:
            self.how = type(end).__name__
            raise
        finally:
            self.ended.set()
        return demo_pb2.HoldResponse()

    async def hello(self, request: demo_pb2.HelloRequest, call: Call, /) -> demo_pb2.HelloResponse:
        self.calls.append("Hello")
        return demo_pb2.HelloResponse(text="hello")

    async def who_am_i(
        self, request: demo_pb2.WhoAmIRequest, call: Call, /
    ) -> demo_pb2.WhoAmIResponse:
        self.calls.append("WhoAmI")
        return _who(call)

    async def whisper(
        self, request: demo_pb2.WhisperRequest, call: Call, /
    ) -> demo_pb2.WhisperResponse:
        self.calls.append("Whisper")
        return demo_pb2.WhisperResponse(data=b"." * request.answer_bytes)

    async def confess(
        self, request: demo_pb2.ConfessRequest, call: Call, /
    ) -> demo_pb2.ConfessResponse:
        self.calls.append("Confess")
        if request.words == "bad":
            raise demo_mesh.BadWord(word="bad", left=0)
        return demo_pb2.ConfessResponse()


class DemoSync(demo_mesh.DemoServiceBaseSync):
    """For threads; the same answers."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.running = threading.Event()
        self.ended = threading.Event()
        self.release = threading.Event()
        self.how = ""

    def echo(self, request: demo_pb2.EchoRequest, call: Call, /) -> demo_pb2.EchoResponse:
        self.calls.append("Echo")
        if request.text == "bad":
            raise demo_mesh.BadWord(word="bad", left=3)
        if request.text == "crash":
            raise RuntimeError("the secret is 42")
        return demo_pb2.EchoResponse(text=request.text)

    def count(
        self, request: demo_pb2.CountRequest, call: Call, /
    ) -> Iterator[demo_pb2.CountResponse]:
        self.calls.append("Count")
        try:
            for number in range(1, request.to + 1):
                if number == 13:
                    raise demo_mesh.OutOfBreath()
                self.running.set()
                yield demo_pb2.CountResponse(number=number)
            self.how = "done"
        except BaseException as end:
            self.how = type(end).__name__
            raise
        finally:
            self.ended.set()

    def sum(self, requests: Iterator[demo_pb2.SumRequest], call: Call, /) -> demo_pb2.SumResponse:
        self.calls.append("Sum")
        total = count = 0
        for request in requests:
            if request.number == -13:
                raise demo_mesh.BadWord(word="-13", left=0)
            total += request.number
            count += 1
        return demo_pb2.SumResponse(sum=total, count=count)

    def chat(
        self, requests: Iterator[demo_pb2.ChatRequest], call: Call, /
    ) -> Iterator[demo_pb2.ChatResponse]:
        self.calls.append("Chat")
        self.running.set()
        try:
            for request in requests:
                if request.text == "bad":
                    raise demo_mesh.BadWord(word="bad", left=1)
                yield demo_pb2.ChatResponse(text=request.text)
            self.how = "done"
        except BaseException as end:
            self.how = type(end).__name__
            raise
        finally:
            self.ended.set()

    def register(
        self, request: demo_pb2.RegisterRequest, call: Call, /
    ) -> demo_pb2.RegisterResponse:
        self.calls.append("Register")
        return demo_pb2.RegisterResponse(id=request.name)

    def knock(self, request: demo_pb2.KnockRequest, call: Call, /) -> demo_pb2.KnockResponse:
        self.calls.append("Knock")
        return demo_pb2.KnockResponse()

    def hold(self, request: demo_pb2.HoldRequest, call: Call, /) -> demo_pb2.HoldResponse:
        self.calls.append("Hold")
        self.running.set()
        if request.milliseconds < 0:
            self.release.wait(30)
        else:
            self.release.wait(request.milliseconds / 1000)
        self.how = "done"
        self.ended.set()
        return demo_pb2.HoldResponse()

    def hello(self, request: demo_pb2.HelloRequest, call: Call, /) -> demo_pb2.HelloResponse:
        self.calls.append("Hello")
        return demo_pb2.HelloResponse(text="hello")

    def who_am_i(self, request: demo_pb2.WhoAmIRequest, call: Call, /) -> demo_pb2.WhoAmIResponse:
        self.calls.append("WhoAmI")
        return _who(call)

    def whisper(self, request: demo_pb2.WhisperRequest, call: Call, /) -> demo_pb2.WhisperResponse:
        self.calls.append("Whisper")
        return demo_pb2.WhisperResponse(data=b"." * request.answer_bytes)

    def confess(self, request: demo_pb2.ConfessRequest, call: Call, /) -> demo_pb2.ConfessResponse:
        self.calls.append("Confess")
        if request.words == "bad":
            raise demo_mesh.BadWord(word="bad", left=0)
        return demo_pb2.ConfessResponse()


def _who(call: Call) -> demo_pb2.WhoAmIResponse:
    user = call.user
    return demo_pb2.WhoAmIResponse(
        workload=call.caller.workload, user="" if user is None else user.subject
    )
