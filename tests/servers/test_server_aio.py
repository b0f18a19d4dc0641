"""A whole server on asyncio over mutual TLS, called by generated clients."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import replace
from typing import Any, ClassVar

import grpc
import psutil
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool

import tlsworld
from demo.v1 import demo_mesh, demo_pb2
from demoservice import Demo, DemoSync
from meshpact.clients import CallError, Channel
from meshpact.interceptors.call import Call
from meshpact.interceptors.spec import MethodSpec, ServiceSpec
from meshpact.servers import Drain, Server, ServerError, UnguardedError
from meshpact.servers.overlay import BUILT_IN
from meshpact.servers.supervisor.ports import reserve

QUICK = Drain(quiet=0.05, at_most=1.0, grace=2.0)


def make(**options: Any) -> Server:
    settings: dict[str, Any] = {
        "identity": tlsworld.identity(tlsworld.SERVER),
        "guard": tlsworld.guard(),
        "drain": QUICK,
    }
    return Server(**(settings | options))


@contextlib.asynccontextmanager
async def world(
    name: str = tlsworld.ALICE, **options: Any
) -> AsyncGenerator[tuple[Demo, demo_mesh.DemoServiceClient]]:
    servicer = Demo()
    server = make(**options)
    server.add(servicer)
    async with server, tlsworld.channel(server.address, name) as channel:
        yield servicer, demo_mesh.DemoServiceClient(channel)


async def numbers(count: int) -> AsyncIterator[demo_pb2.SumRequest]:
    for number in range(count):
        yield demo_pb2.SumRequest(number=number)


async def words(*texts: str) -> AsyncIterator[demo_pb2.ChatRequest]:
    for text in texts:
        yield demo_pb2.ChatRequest(text=text)


@pytest.mark.parametrize("strict", [False, True])
async def test_every_shape_is_served(strict: bool) -> None:
    async with world(strict=strict) as (_, demo):
        assert (await demo.echo(demo_pb2.EchoRequest(text="a"))).text == "a"
        assert [r.number async for r in demo.count(demo_pb2.CountRequest(to=5))] == [1, 2, 3, 4, 5]
        assert (await demo.sum(numbers(10))).sum == 45
        assert [r.text async for r in demo.chat(words("a", "b"))] == ["a", "b"]


async def test_errors_of_the_contract_cross_the_wire_in_every_shape() -> None:
    async with world() as (_, demo):
        with pytest.raises(demo_mesh.BadWord) as caught:
            await demo.echo(demo_pb2.EchoRequest(text="bad"))
        assert caught.value.left == "3"
        with pytest.raises(demo_mesh.OutOfBreath):
            _ = [r async for r in demo.count(demo_pb2.CountRequest(to=20))]
        with pytest.raises(demo_mesh.BadWord):
            await demo.sum(one(demo_pb2.SumRequest(number=-13)))
        with pytest.raises(demo_mesh.BadWord):
            _ = [r async for r in demo.chat(words("a", "bad"))]


async def one(request: demo_pb2.SumRequest) -> AsyncIterator[demo_pb2.SumRequest]:
    yield request


async def test_a_caller_without_the_role_is_refused() -> None:
    async with world(tlsworld.MALLORY) as (servicer, demo):
        with pytest.raises(CallError) as caught:
            await demo.echo(demo_pb2.EchoRequest(text="a"))
        assert (await demo.hello(demo_pb2.HelloRequest())).text == "hello"
    assert (caught.value.code, caught.value.reason) == (
        grpc.StatusCode.PERMISSION_DENIED,
        "ROLE_MISSING",
    )
    assert servicer.calls == ["Hello"]


async def test_a_call_from_a_handler_inherits_deadline_and_trace() -> None:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    asked: list[Call] = []
    left: list[float] = []

    class Asked(Demo):
        async def hold(self, request: demo_pb2.HoldRequest, call: Call, /) -> demo_pb2.HoldResponse:
            asked.append(call)
            left.append(call.time_remaining())
            return demo_pb2.HoldResponse()

    last = make()
    last.add(Asked())
    async with last, tlsworld.channel(last.address) as onward:
        inner = demo_mesh.DemoServiceClient(onward)

        class Relay(Demo):
            async def echo(
                self, request: demo_pb2.EchoRequest, call: Call, /
            ) -> demo_pb2.EchoResponse:
                await inner.hold(demo_pb2.HoldRequest(), timeout=60)
                return demo_pb2.EchoResponse()

        server = make()
        server.add(Relay())
        async with server, tlsworld.channel(server.address) as channel:
            await demo_mesh.DemoServiceClient(channel).echo(
                demo_pb2.EchoRequest(text="a"), timeout=15, metadata=(("traceparent", trace),)
            )
    assert 0 < left[0] <= 15.1
    assert asked[0].info.traceparent.split("-")[1] == trace.split("-")[1]


async def test_an_unknown_method_is_refused_with_a_reason() -> None:
    async with make() as server, tlsworld.channel(server.address) as channel:
        with pytest.raises(CallError) as caught:
            await demo_mesh.DemoServiceClient(channel).echo(demo_pb2.EchoRequest(text="a"))
    assert (caught.value.code, caught.value.reason) == (
        grpc.StatusCode.UNIMPLEMENTED,
        "METHOD_UNKNOWN",
    )


def unguarded() -> ServiceSpec:
    """A service without policies: two methods of a proto file of its own."""
    file = descriptor_pb2.FileDescriptorProto(
        name="bare/v1/bare.proto", package="bare.v1", syntax="proto3"
    )
    file.message_type.add(name="Empty")
    service = file.service.add(name="Bare")
    for name in ("First", "Second"):
        service.method.add(name=name, input_type=".bare.v1.Empty", output_type=".bare.v1.Empty")
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    found = pool.FindServiceByName("bare.v1.Bare")
    return ServiceSpec(
        found,
        methods=tuple(
            MethodSpec(method, method.name.lower(), demo_pb2.HelloRequest, demo_pb2.HelloResponse)
            for method in found.methods
        ),
    )


class Bare:
    SPEC: ClassVar[ServiceSpec] = unguarded()

    async def first(self, request: Any, call: Any, /) -> Any:
        return demo_pb2.HelloResponse()

    second = first


async def test_a_server_does_not_start_without_policies_and_names_every_method() -> None:
    server = make()
    server.add(Demo())
    server.add(Bare())
    with pytest.raises(UnguardedError) as caught:
        await server.start()
    assert [(error.method, error.file) for error in caught.value.methods] == [
        ("bare.v1.Bare.First", "bare/v1/bare.proto"),
        ("bare.v1.Bare.Second", "bare/v1/bare.proto"),
    ]
    assert "bare.v1.Bare.Second (bare/v1/bare.proto)" in str(caught.value)
    assert server.address == ""


async def test_an_overlay_gives_a_policy_to_a_contract_one_does_not_own() -> None:
    open_door = BUILT_IN["grpc.health.v1.Health/Check"]
    server = make(overlay={"bare.v1.Bare/First": open_door, "bare.v1.Bare/Second": open_door})
    server.add(Bare())
    async with server, tlsworld.channel(server.address, tlsworld.MALLORY) as channel:
        method = replace(Bare.SPEC.methods[0], overlay=open_door)
        response = await channel.unary_unary(method)(demo_pb2.HelloRequest(), None, (), "")
    assert response == demo_pb2.HelloResponse()


async def test_a_servicer_for_threads_is_refused_with_words() -> None:
    with pytest.raises(ServerError, match="mount it on ServerSync"):
        make().add(DemoSync())


async def test_a_service_is_mounted_once_and_before_the_start() -> None:
    server = make()
    server.add(Demo())
    with pytest.raises(ServerError, match="mounted already"):
        server.add(Demo())
    async with server:
        with pytest.raises(ServerError, match="mount servicers before that"):
            server.add(Demo())
    with pytest.raises(ServerError, match="no SPEC"):
        make().add(object())  # type: ignore[arg-type]


async def test_a_taken_port_is_named_and_nothing_stays_open() -> None:
    async with make() as first:
        second = make(address=first.address)
        with pytest.raises(ServerError, match=f"{first.address}.* taken by another process"):
            await second.start()
        third = make(health_address=first.address)
        with pytest.raises(ServerError, match="its health server"):
            await third.start()


@pytest.mark.parametrize("address", ["127.0.0.1", "127.0.0.1:", "127.0.0.1:99999", ":50051"])
async def test_an_address_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(ServerError, match="is no address to listen on"):
        await make(address=address).start()


async def test_a_foreign_address_is_refused() -> None:
    with pytest.raises(ServerError, match=r"192\.0\.2\.1:0.*cannot be used"):
        await make(address="192.0.2.1:0").start()


async def test_a_caller_without_a_certificate_gets_no_connection() -> None:
    async with make() as server:
        roots = tlsworld.identity(tlsworld.SERVER).current().bundles[str(tlsworld.DOMAIN)].pem
        bare = grpc.aio.secure_channel(
            server.address,
            grpc.ssl_channel_credentials(roots),
            options=[("grpc.default_authority", "server.demo.test")],
        )
        async with Channel.over(bare) as channel:
            with pytest.raises(CallError) as caught:
                await demo_mesh.DemoServiceClient(channel).hello(demo_pb2.HelloRequest())
    assert caught.value.code is grpc.StatusCode.UNAVAILABLE


async def test_a_stop_lets_running_calls_end() -> None:
    servicer, server = Demo(), make(drain=Drain(quiet=0.05, grace=60))
    server.add(servicer)
    await server.start()
    draining = asyncio.Event()
    server.statuses.watch(lambda: draining.set() if server.statuses.get("") == 2 else None)
    async with tlsworld.channel(server.address) as channel:
        demo = demo_mesh.DemoServiceClient(channel)
        call = asyncio.create_task(demo.hold(demo_pb2.HoldRequest(milliseconds=-1)))
        await servicer.running.wait()
        stopping = asyncio.create_task(server.stop())
        await draining.wait()
        servicer.release.set()
        assert await call == demo_pb2.HoldResponse()
        await stopping


async def test_a_call_that_outlives_the_grace_is_cancelled() -> None:
    servicer, server = Demo(), make()
    server.add(servicer)
    await server.start()
    async with tlsworld.channel(server.address) as channel:
        demo = demo_mesh.DemoServiceClient(channel)
        call = asyncio.create_task(demo.hold(demo_pb2.HoldRequest(milliseconds=-1), timeout=25))
        await servicer.running.wait()
        await server.stop(0.1)
        with pytest.raises(CallError):
            await call
        await servicer.ended.wait()
    assert servicer.how == "CancelledError"


def listens(server: Server) -> bool:
    """Whether this process listens where the server said."""
    found = psutil.Process().net_connections("tcp")
    port = int(server.address.rpartition(":")[2])
    return any(each.laddr.port == port and each.status == "LISTEN" for each in found)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_drains_and_ends_serve(number: signal.Signals) -> None:
    servicer, server = Demo(), make(drain=Drain(quiet=0.05, grace=60))
    server.add(servicer)
    started = asyncio.Event()
    before = signal.getsignal(number)
    serving = asyncio.create_task(server.serve(started.set))
    await started.wait()
    assert listens(server)
    async with tlsworld.channel(server.address) as channel:
        demo = demo_mesh.DemoServiceClient(channel)
        call = asyncio.create_task(demo.hold(demo_pb2.HoldRequest(milliseconds=100)))
        await servicer.running.wait()
        os.kill(os.getpid(), number)
        await call
        await serving
    assert signal.getsignal(number) is before
    assert not listens(server)


async def test_a_second_signal_ends_at_once() -> None:
    servicer, server = Demo(), make(drain=Drain(quiet=0.01, grace=60))
    server.add(servicer)
    started = asyncio.Event()
    serving = asyncio.create_task(server.serve(started.set))
    await started.wait()
    draining = asyncio.Event()
    server.statuses.watch(lambda: draining.set() if server.statuses.get("") == 2 else None)
    async with tlsworld.channel(server.address) as channel:
        demo = demo_mesh.DemoServiceClient(channel)
        call = asyncio.create_task(demo.hold(demo_pb2.HoldRequest(milliseconds=-1), timeout=50))
        await servicer.running.wait()
        os.kill(os.getpid(), signal.SIGTERM)
        await draining.wait()
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.wait_for(serving, 30)
        with pytest.raises(CallError):
            await call


async def test_no_call_is_lost_by_a_stop_once_callers_turned_away() -> None:
    servicer, server = Demo(), make(drain=Drain(quiet=0.1, at_most=5, grace=5))
    server.add(servicer)
    await server.start()
    busy, draining = asyncio.Event(), asyncio.Event()
    server.statuses.watch(lambda: draining.set() if server.statuses.get("") == 2 else None)

    async def caller(demo: demo_mesh.DemoServiceClient) -> int:
        done = 0
        while not draining.is_set():
            await demo.echo(demo_pb2.EchoRequest(text="a"))
            done += 1
            if done == 10:
                busy.set()
        return done

    async with tlsworld.channel(server.address) as channel:
        demo = demo_mesh.DemoServiceClient(channel)
        callers = [asyncio.create_task(caller(demo)) for _ in range(8)]
        await busy.wait()
        await server.stop()
        assert sum(await asyncio.gather(*callers)) == len(servicer.calls)


async def test_callers_that_never_pause_are_told_that_nothing_was_done() -> None:
    servicer, server = Demo(), make(drain=Drain(quiet=0.1, at_most=0.1, settle=5, grace=5))
    server.add(servicer)
    await server.start()
    busy = asyncio.Event()

    async def caller(demo: demo_mesh.DemoServiceClient) -> tuple[int, CallError]:
        done = 0
        while True:
            try:
                await demo.confess(demo_pb2.ConfessRequest(words="a"))
            except CallError as error:
                return done, error
            done += 1
            if done == 10:
                busy.set()

    async with tlsworld.channel(server.address) as channel:
        demo = demo_mesh.DemoServiceClient(channel)
        callers = [asyncio.create_task(caller(demo)) for _ in range(8)]
        await busy.wait()
        stopping = asyncio.create_task(server.stop())
        ends = await asyncio.gather(*callers)
        await stopping
    assert sum(done for done, _ in ends) == len(servicer.calls)
    assert {(error.code.name, error.reason) for _, error in ends} == {("UNAVAILABLE", "OVERLOADED")}
    assert all(error.retry_after == 1.0 for _, error in ends)


async def test_a_failed_start_gives_its_port_back() -> None:
    held = reserve("127.0.0.1:0", "the test")  # so that nobody else takes it meanwhile
    async with make() as other:
        with pytest.raises(ServerError, match="its health server"):
            await make(address=held.address, health_address=other.address).start()
    async with make(address=held.address) as server:
        assert server.address == held.address
    held.release()


async def test_nothing_of_a_secret_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with world() as (_, demo):
        with pytest.raises(CallError):
            await demo.who_am_i(demo_pb2.WhoAmIRequest(), token="s3cr3t.s3cr3t.s3cr3t")
    assert "s3cr3t" not in caplog.text
