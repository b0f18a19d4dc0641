"""What clients of threaded programs send, get and raise."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2

import bareserver
from demo.v1 import demo_mesh, demo_pb2
from meshpact.clients import CallError, ChannelSync


@contextlib.contextmanager
def client(**handlers: Any) -> Generator[demo_mesh.DemoServiceClientSync]:
    with (
        bareserver.serving_sync(handlers) as address,
        ChannelSync.over(grpc.insecure_channel(address), address) as channel,
    ):
        yield demo_mesh.DemoServiceClientSync(channel)


def test_every_shape_is_called() -> None:
    def echo(raw: bytes, context: Any) -> bytes:
        return raw

    def count(raw: bytes, context: Any) -> Iterator[bytes]:
        for number in range(1, demo_pb2.CountRequest.FromString(raw).to + 1):
            yield demo_pb2.CountResponse(number=number).SerializeToString()

    def total(requests: Iterator[bytes], context: Any) -> bytes:
        numbers = [demo_pb2.SumRequest.FromString(raw).number for raw in requests]
        return demo_pb2.SumResponse(sum=sum(numbers)).SerializeToString()

    def chat(requests: Iterator[bytes], context: Any) -> Iterator[bytes]:
        yield from requests

    with client(Echo=echo, Count=count, Sum=total, Chat=chat) as demo:
        assert demo.echo(demo_pb2.EchoRequest(text="a")).text == "a"
        assert [r.number for r in demo.count(demo_pb2.CountRequest(to=3))] == [1, 2, 3]
        assert demo.sum(demo_pb2.SumRequest(number=n) for n in range(5)).sum == 10
        said = [demo_pb2.ChatRequest(text=text) for text in "abc"]
        assert [r.text for r in demo.chat(said)] == ["a", "b", "c"]


def test_timeout_token_and_metadata_are_sent() -> None:
    seen: dict[str, Any] = {}

    def echo(raw: bytes, context: Any) -> bytes:
        seen.update(context.invocation_metadata(), left=context.time_remaining())
        return b""

    with client(Echo=echo) as demo:
        demo.echo(demo_pb2.EchoRequest(text="a"), token="t.o.k", metadata=(("x-one", "1"),))
    assert (seen["authorization"], seen["x-one"]) == ("Bearer t.o.k", "1")
    assert 10 < seen["left"] <= 20.1


def call(shape: str, demo: demo_mesh.DemoServiceClientSync) -> None:
    if shape == "echo":
        demo.echo(demo_pb2.EchoRequest(text="a"))
    elif shape == "count":
        list(demo.count(demo_pb2.CountRequest(to=1)))
    elif shape == "sum":
        demo.sum([demo_pb2.SumRequest()])
    else:
        list(demo.chat([demo_pb2.ChatRequest(text="a")]))


@pytest.mark.parametrize("shape", ["echo", "count", "sum", "chat"])
def test_errors_are_typed_in_every_shape(shape: str) -> None:
    code = grpc.StatusCode.FAILED_PRECONDITION
    info = error_details_pb2.ErrorInfo(
        reason="BAD_WORD", domain="demo.example", metadata={"word": "x"}
    )

    def fail(received: Any, context: Any) -> Any:
        context.set_trailing_metadata(bareserver.details(code, "No.", info))
        context.abort(code, "No.")

    with (
        client(Echo=fail, Count=fail, Sum=fail, Chat=fail) as demo,
        pytest.raises(demo_mesh.BadWord) as caught,
    ):
        call(shape, demo)
    assert (caught.value.word, caught.value.left) == ("x", "")
    assert caught.value.__context__ is None


def test_a_spent_budget_fails_before_the_wire() -> None:
    with client() as demo, pytest.raises(CallError) as caught:
        demo.echo(demo_pb2.EchoRequest(text="a"), timeout=0)
    assert caught.value.reason == "BUDGET_SPENT"


def test_a_response_that_does_not_parse_is_an_error_and_not_none() -> None:
    def garbage(raw: bytes, context: Any) -> bytes:
        return b"\xff\xff\xff"

    with client(Echo=garbage) as demo, pytest.raises(CallError, match="does not parse"):
        demo.echo(demo_pb2.EchoRequest(text="a"))


def test_an_exception_of_the_requests_cancels_the_call_and_comes_back() -> None:
    def total(requests: Iterator[bytes], context: Any) -> bytes:
        for _ in requests:
            pass
        return b""

    def broken() -> Iterator[Any]:
        yield demo_pb2.SumRequest(number=1)
        raise LookupError("no more")

    def chat(requests: Iterator[bytes], context: Any) -> Iterator[bytes]:
        yield from requests

    with client(Sum=total, Chat=chat) as demo:
        with pytest.raises(LookupError, match="no more"):
            demo.sum(broken())
        with pytest.raises(LookupError, match="no more"):
            list(demo.chat(broken()))


def test_leaving_a_stream_early_cancels_the_call() -> None:
    ended = threading.Event()

    def count(raw: bytes, context: Any) -> Iterator[bytes]:
        context.add_callback(ended.set)
        yield b""
        ended.wait(10)

    with client(Count=count) as demo:
        for _ in demo.count(demo_pb2.CountRequest(to=5)):
            break
        assert ended.wait(5)


def test_closing_the_channel_fails_the_calls_on_it_with_words() -> None:
    running, release = threading.Event(), threading.Event()

    def echo(raw: bytes, context: Any) -> bytes:
        running.set()
        release.wait(10)
        return b""

    with bareserver.serving_sync({"Echo": echo}) as address, ThreadPoolExecutor(1) as threads:
        channel = ChannelSync.over(grpc.insecure_channel(address))
        demo = demo_mesh.DemoServiceClientSync(channel)
        call = threads.submit(demo.echo, demo_pb2.EchoRequest(text="a"))
        assert running.wait(5)
        channel.close()
        with pytest.raises(CallError, match="is closed"):
            call.result(5)
        with pytest.raises(CallError, match="is closed"):
            demo.echo(demo_pb2.EchoRequest(text="a"))
        release.set()


def test_a_target_that_is_not_there_is_unavailable() -> None:
    with (
        ChannelSync.over(grpc.insecure_channel("127.0.0.1:1"), "127.0.0.1:1") as channel,
        pytest.raises(CallError, match=r"127\.0\.0\.1:1 within 0\.05 s"),
    ):
        channel.wait_ready(0.05)
