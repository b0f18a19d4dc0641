"""Health over mutual TLS and on the plaintext port, from start to drain, aio and sync."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Generator
from typing import Any

import grpc
import grpc.aio
import pytest
from google.protobuf.duration_pb2 import Duration

import tlsworld
from demoservice import Demo, DemoSync
from meshpact.clients import CallError
from meshpact.interceptors.errors import StatusError
from meshpact.interceptors.spec import MethodSpec
from meshpact.policy.v1 import policy_pb2
from meshpact.servers import Drain, Server, ServerSync
from meshpact.servers.health import HEALTH_SERVICE, IDENTITY, MAX_LISTED, Statuses, listing
from meshpact.servers.overlay import overlaid
from meshpact.servers.wellknown import health_pb2

CHECK, LIST, WATCH = HEALTH_SERVICE.methods
SERVICE = "demo.v1.DemoService"
SERVING, NOT_SERVING, SERVICE_UNKNOWN = 1, 2, 3
SETTINGS: dict[str, Any] = {"health_address": "127.0.0.1:0", "drain": Drain(quiet=0.05, grace=2.0)}


@contextlib.asynccontextmanager
async def serving(**options: Any) -> AsyncGenerator[Server]:
    settings = SETTINGS | options
    server = Server(identity=tlsworld.identity(tlsworld.SERVER), guard=tlsworld.guard(), **settings)
    server.add(Demo())
    async with server:
        yield server


@contextlib.contextmanager
def serving_sync() -> Generator[ServerSync]:
    server = ServerSync(
        identity=tlsworld.identity(tlsworld.SERVER), guard=tlsworld.guard(), **SETTINGS
    )
    server.add(DemoSync())
    with server:
        yield server


def bare(channel: grpc.Channel | grpc.aio.Channel, spec: MethodSpec[Any, Any]) -> Any:
    """grpc's own stub of a method, which takes bytes."""
    return stub(channel, spec.path, response_deserializer=spec.response.FromString)


def stub(channel: grpc.Channel | grpc.aio.Channel, path: str, **options: Any) -> Any:
    """grpc's own stub of a path."""
    make: Any = channel.unary_unary
    return make(path, **options)


def request(service: str = "") -> Any:
    return health_pb2.HealthCheckRequest(service=service)


async def test_check_and_list_tell_the_whole_server_and_each_service() -> None:
    async with serving() as server, tlsworld.channel(server.address, tlsworld.MALLORY) as channel:
        check, listed = channel.unary_unary(CHECK), channel.unary_unary(LIST)
        assert (await check(request(), None, (), "")).status == SERVING
        assert (await check(request(SERVICE), None, (), "")).status == SERVING
        with pytest.raises(CallError) as caught:
            await check(request("no.Such"), None, (), "")
        everything = await listed(health_pb2.HealthListRequest(), None, (), "")
    assert caught.value.code is grpc.StatusCode.NOT_FOUND
    assert {name: each.status for name, each in everything.statuses.items()} == {
        "": SERVING,
        SERVICE: SERVING,
        IDENTITY: SERVING,
    }


async def test_watch_tells_each_change_and_ends_with_the_server() -> None:
    async with serving() as server, tlsworld.channel(server.address) as channel:
        watch = channel.unary_stream(WATCH)(request(SERVICE), None, (), "")
        assert (await anext(watch)).status == SERVING
        server.statuses.set(SERVICE, NOT_SERVING)
        assert (await anext(watch)).status == NOT_SERVING
        server.statuses.set(SERVICE, SERVING)
        assert (await anext(watch)).status == SERVING
        stopping = asyncio.create_task(server.stop())
        assert [each.status async for each in watch] == [NOT_SERVING]
        await stopping


async def test_watch_of_an_unknown_service_waits_for_it() -> None:
    async with serving() as server, tlsworld.channel(server.address) as channel:
        watch = channel.unary_stream(WATCH)(request("later.Service"), None, (), "")
        assert (await anext(watch)).status == SERVICE_UNKNOWN
        server.statuses.set("later.Service", SERVING)
        assert (await anext(watch)).status == SERVING


async def test_the_plaintext_port_answers_health_and_nothing_else() -> None:
    async with (
        serving() as server,
        grpc.aio.insecure_channel(server.health_address) as channel,
    ):
        check = bare(channel, CHECK)
        assert (await check(request().SerializeToString())).status == SERVING
        listed = bare(channel, LIST)
        assert SERVICE in (await listed(b"")).statuses
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await check(request("no.Such").SerializeToString())
        assert caught.value.code() is grpc.StatusCode.NOT_FOUND
        for path in ("/demo.v1.DemoService/Hello", "/grpc.reflection.v1.ServerReflection/X"):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await stub(channel, path)(b"")
            assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_the_plaintext_port_watches_until_the_drain() -> None:
    async with (
        serving() as server,
        grpc.aio.insecure_channel(server.health_address) as channel,
    ):
        make: Any = channel.unary_stream
        watch = make(WATCH.path, response_deserializer=WATCH.response.FromString)
        responses = aiter(watch(b""))
        assert (await anext(responses)).status == SERVING
        await server.stop()
        assert [each.status async for each in responses] == [NOT_SERVING]


async def test_during_a_drain_calls_are_served_and_health_says_no() -> None:
    async with serving() as server, tlsworld.channel(server.address) as channel:
        check = channel.unary_unary(CHECK)
        await check(request(), None, (), "")
        server.statuses.drain()
        server.statuses.set(SERVICE, SERVING)
        assert (await check(request(SERVICE), None, (), "")).status == NOT_SERVING


async def test_asking_for_health_all_the_time_does_not_hold_up_a_stop() -> None:
    # Were health counted, the drain would wait its hour out.
    drain = Drain(quiet=0.5, at_most=3600.0, grace=2.0)
    async with serving(drain=drain) as server, tlsworld.channel(server.address) as channel:
        check = channel.unary_unary(CHECK)
        assert (await check(request(), None, (), "")).status == SERVING
        stopping = asyncio.create_task(server.stop())
        seen: set[int] = set()
        async with asyncio.timeout(60):
            while not stopping.done():
                with contextlib.suppress(CallError):
                    seen.add((await check(request(), 0.5, (), "")).status)
        await stopping
    assert NOT_SERVING in seen


def test_threads_answer_health_on_both_ports() -> None:
    with serving_sync() as server:
        with tlsworld.channel_sync(server.address) as channel:
            assert channel.unary_unary(CHECK)(request(SERVICE), None, (), "").status == SERVING
            listed = channel.unary_unary(LIST)(health_pb2.HealthListRequest(), None, (), "")
            assert set(listed.statuses) == {"", SERVICE, IDENTITY}
            watch = channel.unary_stream(WATCH)(request(), None, (), "")
            assert next(watch).status == SERVING
            server.statuses.set("", NOT_SERVING)
            assert next(watch).status == NOT_SERVING
        with grpc.insecure_channel(server.health_address) as plain:
            check = bare(plain, CHECK)
            assert check(b"").status == NOT_SERVING
            with pytest.raises(grpc.RpcError, match="UNIMPLEMENTED"):
                stub(plain, "/demo.v1.DemoService/Hello")(b"")


def test_watches_on_threads_leave_threads_for_calls() -> None:
    with serving_sync() as server, tlsworld.channel_sync(server.address) as channel:
        watches = [channel.unary_stream(WATCH)(request(), None, (), "") for _ in range(9)]
        for watch in watches[:8]:
            assert next(watch).status == SERVING
        with pytest.raises(CallError) as caught:
            next(watches[8])
        assert caught.value.code is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert channel.unary_unary(CHECK)(request(), None, (), "").status == SERVING


async def test_the_overlay_can_close_health() -> None:
    closed = policy_pb2.Policy(access=policy_pb2.Access(roles=["prober"]))
    overlay = {"grpc.health.v1.Health/Check": closed}
    async with (
        serving(overlay=overlay) as server,
        tlsworld.channel(server.address, tlsworld.MALLORY) as channel,
    ):
        with pytest.raises(CallError) as caught:
            await channel.unary_unary(CHECK)(request(), None, (), "")
    assert caught.value.reason == "ROLE_MISSING"


def test_an_overlay_replaces_parts_and_keeps_the_rest() -> None:
    slower = policy_pb2.Policy(deadline=policy_pb2.Deadline(default=Duration(seconds=9)))
    policy = overlaid(HEALTH_SERVICE, {"grpc.health.v1.Health/Check": slower}).methods[0].policy
    assert policy.default_deadline == 9
    assert policy.access.unauthenticated


def test_list_refuses_more_services_than_the_protocol_advises() -> None:
    statuses = Statuses()
    for number in range(MAX_LISTED):
        statuses.add(f"s{number}")
    with pytest.raises(StatusError, match="check each by name"):
        listing(statuses)
