"""Who a channel is, whom it believes, and what it does when a service comes back."""

from __future__ import annotations

import grpc
import pytest

import tlsworld
from demo.v1 import demo_mesh, demo_pb2
from demoservice import Demo
from meshpact.clients import CallError, Channel
from meshpact.interceptors.call import Call
from meshpact.servers import Drain, Server

QUICK = Drain(quiet=0.02, grace=1.0)


class Tells(Demo):
    """Echo says who calls."""

    async def echo(self, request: demo_pb2.EchoRequest, call: Call, /) -> demo_pb2.EchoResponse:
        return demo_pb2.EchoResponse(text=call.caller.workload)

    async def hello(self, request: demo_pb2.HelloRequest, call: Call, /) -> demo_pb2.HelloResponse:
        return demo_pb2.HelloResponse(text=call.caller.workload)


def server(address: str = "127.0.0.1:0") -> Server:
    made = Server(
        identity=tlsworld.identity(tlsworld.SERVER),
        guard=tlsworld.guard(),
        drain=QUICK,
        address=address,
    )
    made.add(Tells())
    return made


async def test_a_workload_that_is_not_the_callee_is_not_called() -> None:
    async with (
        server() as running,
        Channel(
            running.address,
            identity=tlsworld.identity(tlsworld.ALICE),
            callee=tlsworld.spiffe_id("other"),
        ) as channel,
    ):
        with pytest.raises(CallError) as caught:
            await demo_mesh.DemoServiceClient(channel).echo(demo_pb2.EchoRequest(text="a"))
        with pytest.raises(CallError, match=r"within 0\.2 s"):
            await channel.wait_ready(0.2)
    assert caught.value.code is grpc.StatusCode.UNAVAILABLE


async def test_channels_of_two_identities_in_one_process_are_two_callers() -> None:
    async with (
        server() as running,
        tlsworld.channel(running.address, tlsworld.ALICE) as one,
        tlsworld.channel(running.address, tlsworld.MALLORY) as other,
    ):
        await one.wait_ready(30)
        await other.wait_ready(30)
        told = [
            (await demo_mesh.DemoServiceClient(channel).hello(demo_pb2.HelloRequest())).text
            for channel in (one, other, one)
        ]
    # Hello is open to anyone, so the guard need not say who calls; who it says is right.
    assert set(told) <= {
        "",
        str(tlsworld.spiffe_id(tlsworld.ALICE)),
        str(tlsworld.spiffe_id(tlsworld.MALLORY)),
    }
    async with (
        server() as running,
        tlsworld.channel(running.address, tlsworld.MALLORY) as other,
        tlsworld.channel(running.address, tlsworld.ALICE) as one,
    ):
        await other.wait_ready(30)
        echoed = await demo_mesh.DemoServiceClient(one).echo(demo_pb2.EchoRequest(text="a"))
        assert echoed.text == str(tlsworld.spiffe_id(tlsworld.ALICE))
        with pytest.raises(CallError):
            await demo_mesh.DemoServiceClient(other).echo(demo_pb2.EchoRequest(text="a"))


async def test_a_service_that_comes_back_is_called_again_on_the_same_channel() -> None:
    first = server()
    await first.start()
    async with tlsworld.channel(first.address) as channel:
        demo = demo_mesh.DemoServiceClient(channel)
        await demo.echo(demo_pb2.EchoRequest(text="a"))
        await first.stop()
        with pytest.raises(CallError) as caught:
            await demo.echo(demo_pb2.EchoRequest(text="a"))
        assert caught.value.code is grpc.StatusCode.UNAVAILABLE
        async with server(first.address):
            await channel.wait_ready(30)
            await demo.echo(demo_pb2.EchoRequest(text="a"))
