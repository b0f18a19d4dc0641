"""What clients of asyncio programs send, get and raise."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import grpc
import grpc.aio
import pytest
from google.protobuf import duration_pb2
from google.rpc import error_details_pb2

import bareclient
import bareserver
from demo.v1 import demo_mesh, demo_pb2
from meshpact.clients import CallError, Channel
from meshpact.interceptors.errors import ContractError, FieldViolation


def echo(text: str) -> bytes:
    return demo_pb2.EchoResponse(text=text).SerializeToString()


async def test_a_unary_call_answers_with_the_response() -> None:
    async def answer(raw: bytes, context: Any) -> bytes:
        return echo(demo_pb2.EchoRequest.FromString(raw).text * 2)

    async with bareclient.client(Echo=answer) as demo:
        assert (await demo.echo(demo_pb2.EchoRequest(text="ab"))).text == "abab"


async def test_a_call_without_a_timeout_gets_the_default_deadline_of_the_contract() -> None:
    left: list[float] = []

    async def answer(raw: bytes, context: Any) -> bytes:
        left.append(context.time_remaining())
        return b""

    async with bareclient.client(Echo=answer) as demo:
        await demo.echo(demo_pb2.EchoRequest(text="a"))
        await demo.echo(demo_pb2.EchoRequest(text="a"), timeout=9.0)
    assert 10 < left[0] <= 20.1
    assert 1 < left[1] <= 9.1


@pytest.mark.parametrize("seconds", [0, -1.0])
async def test_a_timeout_that_is_over_fails_before_the_wire(seconds: float) -> None:
    async with bareclient.client() as demo:
        with pytest.raises(CallError) as caught:
            await demo.echo(demo_pb2.EchoRequest(text="a"), timeout=seconds)
    assert caught.value.code is grpc.StatusCode.DEADLINE_EXCEEDED
    assert (caught.value.reason, caught.value.domain) == ("BUDGET_SPENT", "meshpact")


async def test_a_deadline_that_passes_raises_deadline_exceeded() -> None:
    async def answer(raw: bytes, context: Any) -> bytes:
        await asyncio.Event().wait()
        return b""

    async with bareclient.client(Echo=answer) as demo:
        with pytest.raises(CallError) as caught:
            await demo.echo(demo_pb2.EchoRequest(text="a"), timeout=0.05)
    assert caught.value.code is grpc.StatusCode.DEADLINE_EXCEEDED
    assert caught.value.reason == ""


async def test_a_token_travels_as_authorization_beside_metadata() -> None:
    seen: list[tuple[str, str | bytes]] = []

    async def answer(raw: bytes, context: Any) -> bytes:
        seen.extend(context.invocation_metadata())
        return b""

    async with bareclient.client(Echo=answer) as demo:
        await demo.echo(
            demo_pb2.EchoRequest(text="a"), token="t.o.k", metadata=(("x-one", "1"), ("x-one", "2"))
        )
    assert ("authorization", "Bearer t.o.k") in seen
    assert [value for key, value in seen if key == "x-one"] == ["1", "2"]


async def test_a_token_beside_authorization_metadata_is_refused() -> None:
    async with bareclient.client() as demo:
        with pytest.raises(ValueError, match="drop the metadata"):
            await demo.echo(
                demo_pb2.EchoRequest(text="a"),
                token="t",
                metadata=(("authorization", "Bearer other"),),
            )


async def test_an_error_of_the_contract_arrives_as_its_class() -> None:
    async def answer(raw: bytes, context: Any) -> bytes:
        info = error_details_pb2.ErrorInfo(
            reason="BAD_WORD", domain="demo.example", metadata={"word": "x", "left": "2"}
        )
        code = grpc.StatusCode.FAILED_PRECONDITION
        await context.abort(code, "No.", bareserver.details(code, "No.", info))
        return b""

    async with bareclient.client(Echo=answer) as demo:
        with pytest.raises(demo_mesh.BadWord) as caught:
            await demo.echo(demo_pb2.EchoRequest(text="a"))
    assert (caught.value.word, caught.value.left, caught.value.message) == ("x", "2", "No.")
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


async def test_any_other_error_is_a_call_error_with_its_details() -> None:
    async def answer(raw: bytes, context: Any) -> bytes:
        code = grpc.StatusCode.INVALID_ARGUMENT
        trailing = bareserver.details(
            code,
            "Wrong.",
            error_details_pb2.ErrorInfo(reason="INVALID_REQUEST", domain="meshpact"),
            error_details_pb2.BadRequest(
                field_violations=[
                    error_details_pb2.BadRequest.FieldViolation(
                        field="text", description="too long", reason="STRING_MAX_LEN"
                    )
                ]
            ),
            error_details_pb2.RetryInfo(retry_delay=duration_pb2.Duration(nanos=250_000_000)),
        )
        await context.abort(code, "Wrong.", trailing)
        return b""

    async with bareclient.client(Echo=answer) as demo:
        with pytest.raises(CallError) as caught:
            await demo.echo(demo_pb2.EchoRequest(text="a"))
    error = caught.value
    assert error.code is grpc.StatusCode.INVALID_ARGUMENT
    assert (error.message, error.reason, error.domain) == ("Wrong.", "INVALID_REQUEST", "meshpact")
    assert error.fields == (FieldViolation("text", "too long", "STRING_MAX_LEN"),)
    assert error.retry_after == 0.25
    assert error.details is not None
    assert len(error.details.details) == 3
    assert str(error) == "demo.v1.DemoService/Echo: INVALID_ARGUMENT INVALID_REQUEST: Wrong."


@pytest.mark.parametrize("trailing", [(), (("grpc-status-details-bin", b"\xff\xff"),)])
async def test_an_error_without_readable_details_has_no_reason(
    trailing: tuple[tuple[str, bytes], ...],
) -> None:
    async def answer(raw: bytes, context: Any) -> bytes:
        await context.abort(grpc.StatusCode.ABORTED, "Again.", trailing)
        return b""

    async with bareclient.client(Echo=answer) as demo:
        with pytest.raises(CallError) as caught:
            await demo.echo(demo_pb2.EchoRequest(text="a"))
    assert (caught.value.reason, caught.value.domain, caught.value.details) == ("", "", None)


async def test_details_that_contradict_the_status_are_not_trusted() -> None:
    async def answer(raw: bytes, context: Any) -> bytes:
        info = error_details_pb2.ErrorInfo(reason="BAD_WORD", domain="demo.example")
        trailing = bareserver.details(grpc.StatusCode.FAILED_PRECONDITION, "No.", info)
        await context.abort(grpc.StatusCode.INTERNAL, "Broken.", trailing)
        return b""

    async with bareclient.client(Echo=answer) as demo:
        with pytest.raises(CallError) as caught:
            await demo.echo(demo_pb2.EchoRequest(text="a"))
    assert (caught.value.code, caught.value.reason) == (grpc.StatusCode.INTERNAL, "")


async def test_a_response_that_does_not_parse_is_an_error_and_not_none() -> None:
    async def answer(raw: bytes, context: Any) -> bytes:
        return b"\xff\xff\xff"

    async with bareclient.client(Echo=answer) as demo:
        with pytest.raises(CallError, match=r"does not parse as demo\.v1\.EchoResponse"):
            await demo.echo(demo_pb2.EchoRequest(text="a"))


async def test_cancelling_the_caller_cancels_the_call_and_stays_a_cancellation() -> None:
    running, ended = asyncio.Event(), asyncio.Event()

    async def answer(raw: bytes, context: Any) -> bytes:
        running.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return b""

    async with bareclient.client(Echo=answer) as demo:
        task = asyncio.create_task(demo.echo(demo_pb2.EchoRequest(text="a")))
        await running.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.wait_for(ended.wait(), 30)


async def test_closing_the_channel_fails_the_calls_on_it_with_words() -> None:
    running = asyncio.Event()

    async def answer(raw: bytes, context: Any) -> bytes:
        running.set()
        await asyncio.Event().wait()
        return b""

    async with bareserver.serving({"Echo": answer}) as address:
        channel = Channel.over(grpc.aio.insecure_channel(address))
        demo = demo_mesh.DemoServiceClient(channel)
        task = asyncio.create_task(demo.echo(demo_pb2.EchoRequest(text="a")))
        await running.wait()
        await channel.close()
        with pytest.raises(CallError, match="is closed"):
            await task
        with pytest.raises(CallError, match="is closed"):
            await demo.echo(demo_pb2.EchoRequest(text="a"))
        await channel.close()


async def test_a_target_that_is_not_there_is_unavailable() -> None:
    async with Channel.over(grpc.aio.insecure_channel("127.0.0.1:1"), "127.0.0.1:1") as channel:
        with pytest.raises(CallError, match=r"127\.0\.0\.1:1 within 0\.05 s"):
            await channel.wait_ready(0.05)
        with pytest.raises(CallError) as caught:
            await demo_mesh.DemoServiceClient(channel).echo(demo_pb2.EchoRequest(text="a"))
    assert caught.value.code is grpc.StatusCode.UNAVAILABLE


def test_every_error_class_of_the_contract_is_known() -> None:
    found: Iterator[type[ContractError] | None] = (
        ContractError.of("demo.example", reason) for reason in ("BAD_WORD", "OUT_OF_BREATH")
    )
    assert list(found) == [demo_mesh.BadWord, demo_mesh.OutOfBreath]
