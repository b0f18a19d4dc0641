"""Retries by C-core's service config, through real sockets."""

from __future__ import annotations

from typing import Any

import grpc
import grpc.aio
import pytest

import bareserver
from demo.v1 import demo_mesh, demo_pb2
from meshpact.clients import CallError, Channel, retries


async def attempts(method: str, code: grpc.StatusCode, failures: int) -> tuple[int, str]:
    """How often the server saw a call that fails so many times, and how it ended at the client."""
    seen = 0

    async def answer(raw: bytes, context: Any) -> bytes:
        nonlocal seen
        seen += 1
        if seen <= failures:
            await context.abort(code, "Not now.")
        return b""

    options = retries.channel_options([demo_mesh.DEMO_SERVICE])
    async with (
        bareserver.serving({"Echo": answer, "Register": answer}) as address,
        Channel.over(grpc.aio.insecure_channel(address, options=options)) as channel,
    ):
        demo = demo_mesh.DemoServiceClient(channel)
        try:
            if method == "Echo":
                await demo.echo(demo_pb2.EchoRequest(text="a"))
            else:
                await demo.register(demo_pb2.RegisterRequest())
        except CallError as error:
            return seen, error.code.name
    return seen, "OK"


@pytest.mark.parametrize(
    ("method", "code", "failures", "expected"),
    [
        ("Echo", grpc.StatusCode.UNAVAILABLE, 2, (3, "OK")),
        ("Echo", grpc.StatusCode.UNAVAILABLE, 9, (3, "UNAVAILABLE")),
        ("Echo", grpc.StatusCode.ABORTED, 1, (1, "ABORTED")),
        ("Echo", grpc.StatusCode.INTERNAL, 1, (1, "INTERNAL")),
        ("Register", grpc.StatusCode.UNAVAILABLE, 1, (1, "UNAVAILABLE")),
    ],
)
async def test_only_idempotent_methods_are_tried_again_and_only_when_unavailable(
    method: str, code: grpc.StatusCode, failures: int, expected: tuple[int, str]
) -> None:
    assert await attempts(method, code, failures) == expected
