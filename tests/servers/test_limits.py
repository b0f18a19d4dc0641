"""What connections may cost: age, number, and calls that never say anything."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import grpc
import pytest

import tlsworld
from demo.v1 import demo_mesh, demo_pb2
from demoservice import Demo
from meshpact.clients import CallError
from meshpact.interceptors.call import Call
from meshpact.servers import Drain, Limits, Server
from meshpact.servers.options import arguments

QUICK = Drain(quiet=0.02, grace=1.0)


class Counting(Demo):
    """Knows the connections that it was asked on."""

    def __init__(self) -> None:
        super().__init__()
        self.connections = set[str]()

    async def confess(
        self, request: demo_pb2.ConfessRequest, call: Call, /
    ) -> demo_pb2.ConfessResponse:
        assert call.wire is not None
        self.connections.add(call.wire.peer())
        return await super().confess(request, call)


def server(limits: Limits) -> tuple[Counting, Server]:
    servicer = Counting()
    made = Server(
        identity=tlsworld.identity(tlsworld.SERVER),
        guard=tlsworld.guard(),
        drain=QUICK,
        limits=limits,
    )
    made.add(servicer)
    return servicer, made


async def test_a_silent_call_ends_with_the_age_of_its_connection() -> None:
    async def silence() -> AsyncIterator[demo_pb2.ChatRequest]:
        await asyncio.Event().wait()
        yield demo_pb2.ChatRequest()

    servicer, running = server(Limits(connection_age=0.2, connection_age_grace=0.2))
    async with running, tlsworld.channel(running.address) as channel:
        demo = demo_mesh.DemoServiceClient(channel)
        # On a busy machine a connection may end before its call has reached the handler.
        while not servicer.running.is_set():
            with pytest.raises(CallError) as caught:
                async for _ in demo.chat(silence(), timeout=60):
                    pass
            assert caught.value.code is grpc.StatusCode.UNAVAILABLE
        await asyncio.wait_for(servicer.ended.wait(), 30)


async def test_calls_go_on_over_the_end_of_a_connection_without_a_fault() -> None:
    servicer, running = server(Limits(connection_age=0.1, connection_age_grace=5.0))
    async with running, tlsworld.channel(running.address) as channel:
        demo = demo_mesh.DemoServiceClient(channel)
        count = 0
        while len(servicer.connections) < 5:
            await demo.confess(demo_pb2.ConfessRequest(words="a"))
            count += 1
    assert servicer.calls.count("Confess") == count


async def test_connections_beyond_the_limit_are_refused_and_the_first_ones_live() -> None:
    _, running = server(Limits(connections=2))
    async with (
        running,
        tlsworld.channel(running.address) as one,
        tlsworld.channel(running.address) as two,
        tlsworld.channel(running.address) as three,
    ):
        await one.wait_ready(30)
        await two.wait_ready(30)
        with pytest.raises(CallError):
            await three.wait_ready(0.3)
        for channel in (one, two):
            await demo_mesh.DemoServiceClient(channel).echo(demo_pb2.EchoRequest(text="a"))


def test_ports_are_not_shared_and_messages_follow_the_largest_policy() -> None:
    found = dict(arguments(Limits(), [demo_mesh.DEMO_SERVICE]))
    assert found["grpc.so_reuseport"] == 0
    assert found["grpc.max_receive_message_length"] == 5 * 1024 * 1024
    assert "grpc.max_allowed_incoming_connections" not in found
    assert dict(arguments(Limits(connections=7), []))["grpc.max_allowed_incoming_connections"] == 7
