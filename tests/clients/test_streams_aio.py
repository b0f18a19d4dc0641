"""Streams of asyncio programs: their ends, from either side, and what is left of them."""

from __future__ import annotations

import asyncio
import contextlib
import gc
from collections.abc import AsyncIterator
from typing import Any

import grpc
import grpc.aio
import pytest
from google.rpc import error_details_pb2

import bareclient
import bareserver
from demo.v1 import demo_mesh, demo_pb2
from meshpact.clients import Channel


async def count(raw: bytes, context: Any) -> AsyncIterator[bytes]:
    for number in range(1, demo_pb2.CountRequest.FromString(raw).to + 1):
        yield demo_pb2.CountResponse(number=number).SerializeToString()


async def test_a_server_stream_gives_each_response() -> None:
    async with bareclient.client(Count=count) as demo:
        numbers = [each.number async for each in demo.count(demo_pb2.CountRequest(to=500))]
    assert numbers == list(range(1, 501))


async def test_a_server_stream_raises_its_error_after_the_responses_before_it() -> None:
    async def answer(raw: bytes, context: Any) -> AsyncIterator[bytes]:
        yield b""
        info = error_details_pb2.ErrorInfo(reason="OUT_OF_BREATH", domain="demo.example")
        code = grpc.StatusCode.ABORTED
        await context.abort(code, "Out.", bareserver.details(code, "Out.", info))

    seen = 0
    async with bareclient.client(Count=answer) as demo:
        with pytest.raises(demo_mesh.OutOfBreath):
            async for _ in demo.count(demo_pb2.CountRequest(to=5)):
                seen += 1
    assert seen == 1


@pytest.mark.parametrize("how", ["aclose", "break", "cancel"])
async def test_leaving_a_stream_early_cancels_the_call(how: str) -> None:
    ended = asyncio.Event()

    async def answer(raw: bytes, context: Any) -> AsyncIterator[bytes]:
        try:
            yield b""
            await asyncio.Event().wait()
        finally:
            ended.set()

    async with bareclient.client(Count=answer) as demo:
        stream: Any = demo.count(demo_pb2.CountRequest(to=5))
        if how == "break":
            async for _ in stream:
                break
            stream = None
            gc.collect()
        else:
            await anext(stream)
        if how == "aclose":
            await stream.aclose()
        if how == "cancel":
            task = asyncio.ensure_future(anext(stream))
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        await asyncio.wait_for(ended.wait(), 30)


async def total(requests: AsyncIterator[bytes], context: Any) -> bytes:
    numbers = [demo_pb2.SumRequest.FromString(raw).number async for raw in requests]
    return demo_pb2.SumResponse(sum=sum(numbers), count=len(numbers)).SerializeToString()


async def each(count: int) -> AsyncIterator[demo_pb2.SumRequest]:
    for number in range(count):
        yield demo_pb2.SumRequest(number=number)


async def test_a_client_stream_takes_async_and_plain_iterables() -> None:
    async with bareclient.client(Sum=total) as demo:
        assert (await demo.sum(each(100))).sum == 4950
        plain: Any = [demo_pb2.SumRequest(number=n) for n in range(10)]
        assert (await demo.sum(plain)).sum == 45
        assert (await demo.sum(each(0))).count == 0


async def test_an_exception_of_the_requests_cancels_the_call_and_comes_back() -> None:
    ended = asyncio.Event()

    async def answer(requests: AsyncIterator[bytes], context: Any) -> bytes:
        try:
            return await total(requests, context)
        finally:
            ended.set()

    async def broken() -> AsyncIterator[demo_pb2.SumRequest]:
        yield demo_pb2.SumRequest(number=1)
        raise LookupError("no more")

    async with bareclient.client(Sum=answer) as demo:
        with pytest.raises(LookupError, match="no more"):
            await demo.sum(broken())
        await asyncio.wait_for(ended.wait(), 30)


async def test_a_server_that_ends_a_client_stream_early_leaves_no_task_behind() -> None:
    started, closed = asyncio.Event(), asyncio.Event()

    async def answer(requests: AsyncIterator[bytes], context: Any) -> bytes:
        info = error_details_pb2.ErrorInfo(reason="BAD_WORD", domain="demo.example")
        code = grpc.StatusCode.FAILED_PRECONDITION
        await context.abort(code, "No.", bareserver.details(code, "No.", info))
        return b""

    async def endless() -> AsyncIterator[demo_pb2.SumRequest]:
        started.set()
        try:
            yield demo_pb2.SumRequest(number=1)
            await asyncio.Event().wait()
        finally:
            closed.set()

    async with bareclient.client(Sum=answer) as demo:
        with pytest.raises(demo_mesh.BadWord):
            await demo.sum(endless())
        assert closed.is_set() == started.is_set()
        assert not [task for task in asyncio.all_tasks() if "Pump" in repr(task)]


async def chat(requests: AsyncIterator[bytes], context: Any) -> AsyncIterator[bytes]:
    async for raw in requests:
        text = demo_pb2.ChatRequest.FromString(raw).text
        yield demo_pb2.ChatResponse(text=text.upper()).SerializeToString()


async def test_a_conversation_goes_to_and_fro() -> None:
    words: asyncio.Queue[str] = asyncio.Queue()

    async def say() -> AsyncIterator[demo_pb2.ChatRequest]:
        while word := await words.get():
            yield demo_pb2.ChatRequest(text=word)

    heard: list[str] = []
    async with bareclient.client(Chat=chat) as demo:
        words.put_nowait("a")
        async for response in demo.chat(say()):
            heard.append(response.text)
            words.put_nowait("b" * len(heard) if len(heard) < 4 else "")
    assert heard == ["A", "B", "BB", "BBB"]


async def test_an_exception_of_a_conversation_comes_back_after_what_was_heard() -> None:
    heard = asyncio.Event()

    async def say() -> AsyncIterator[demo_pb2.ChatRequest]:
        yield demo_pb2.ChatRequest(text="a")
        await heard.wait()
        raise LookupError("lost for words")

    async with bareclient.client(Chat=chat) as demo:
        with pytest.raises(LookupError, match="lost for words"):
            async for _ in demo.chat(say()):
                heard.set()


async def test_leaving_a_conversation_ends_both_sides() -> None:
    said, ended = asyncio.Event(), asyncio.Event()

    async def answer(requests: AsyncIterator[bytes], context: Any) -> AsyncIterator[bytes]:
        try:
            async for raw in chat(requests, context):
                yield raw
        finally:
            ended.set()

    async def say() -> AsyncIterator[demo_pb2.ChatRequest]:
        try:
            while True:
                yield demo_pb2.ChatRequest(text="a")
        finally:
            said.set()

    async with bareclient.client(Chat=answer) as demo:
        talk: Any = demo.chat(say())
        async with contextlib.aclosing(talk):
            await anext(talk)
        gc.collect()
        await asyncio.wait_for(said.wait(), 30)
        await asyncio.wait_for(ended.wait(), 30)


async def test_the_status_of_a_server_that_ends_first_is_never_lost_to_a_failed_write() -> None:
    code = grpc.StatusCode.FAILED_PRECONDITION
    info = error_details_pb2.ErrorInfo(reason="BAD_WORD", domain="demo.example")
    trailing = bareserver.details(code, "No.", info)

    async def total(requests: AsyncIterator[bytes], context: Any) -> bytes:
        await anext(requests)
        await context.abort(code, "No.", trailing)
        return b""

    async def chat(requests: AsyncIterator[bytes], context: Any) -> AsyncIterator[bytes]:
        yield await anext(requests)
        await context.abort(code, "No.", trailing)

    async def endless(kind: type[Any]) -> AsyncIterator[Any]:
        while True:
            yield kind()
            await asyncio.sleep(0)

    async def once(demo: demo_mesh.DemoServiceClient) -> None:
        with pytest.raises(demo_mesh.BadWord):
            await demo.sum(endless(demo_pb2.SumRequest))
        with pytest.raises(demo_mesh.BadWord):
            async for _ in demo.chat(endless(demo_pb2.ChatRequest)):
                pass

    async with bareclient.client(Sum=total, Chat=chat) as demo:
        for _ in range(10):
            await asyncio.gather(*(once(demo) for _ in range(8)))


async def test_a_call_with_interceptors_streams_as_well() -> None:
    class Nothing(grpc.aio.StreamUnaryClientInterceptor):
        async def intercept_stream_unary(
            self, continuation: Any, client_call_details: Any, request_iterator: Any
        ) -> Any:
            return await continuation(client_call_details, request_iterator)

    async with (
        bareserver.serving({"Sum": total}) as address,
        Channel.over(grpc.aio.insecure_channel(address, interceptors=[Nothing()])) as channel,
    ):
        assert (await demo_mesh.DemoServiceClient(channel).sum(each(10))).sum == 45


async def test_a_server_that_has_heard_enough_ends_the_requests_and_answers() -> None:
    closed: list[str] = []

    async def enough(requests: AsyncIterator[bytes], context: Any) -> bytes:
        await anext(requests)
        return demo_pb2.SumResponse(sum=1).SerializeToString()

    async def said_enough(requests: AsyncIterator[bytes], context: Any) -> AsyncIterator[bytes]:
        yield await anext(requests)

    async def endless(kind: type[Any]) -> AsyncIterator[Any]:
        try:
            while True:
                yield kind()
                await asyncio.sleep(0)
        finally:
            closed.append(kind.__name__)

    async with bareclient.client(Sum=enough, Chat=said_enough) as demo:
        assert (await demo.sum(endless(demo_pb2.SumRequest))).sum == 1
        assert len([r async for r in demo.chat(endless(demo_pb2.ChatRequest))]) == 1
    assert sorted(closed) == ["ChatRequest", "SumRequest"]
