"""Every consumer of identities with every source: a call over real TLS, and again after a rotation.

Servers and clients of both kinds, the guard's check of peers, and the target of `meshpact call`.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator
from pathlib import Path
from typing import Literal, TypeVar

import grpc
import pytest

from demo.v1 import demo_mesh, demo_pb2
from demoservice import Demo, DemoSync
from meshpact.certs.source import Identity, IdentitySource
from meshpact.clients import Channel, ChannelSync
from meshpact.clients.dynamic.target import Target
from meshpact.interceptors.guard import Guard
from meshpact.interceptors.identity import Peers
from meshpact.mesh.config import load
from meshpact.mesh.state import State
from meshpact.servers import Drain, Server, ServerSync
from meshpact.testing.roles import StaticRoles
from servedcert import served_serial
from sources.worlds import CLIENT, SERVER, WORLDS, World, opened, spiffe_id

Kind = Literal["aio", "sync"]
LONG = 60.0
Req = TypeVar("Req")
AT_ONCE = Drain(quiet=0.0, at_most=0.0, grace=0.0)
SPECS = [demo_mesh.DemoServiceBase.SPEC]


@pytest.fixture(params=list(WORLDS))
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Generator[World]:
    with opened(request.param, tmp_path) as made:
        yield made


def guard(source: IdentitySource) -> Guard:
    """One that lets the client in by what its certificate says, and nobody else."""
    bindings = StaticRoles({str(spiffe_id(CLIENT)): ["demo.caller"]})
    return Guard(peers=Peers(source), bindings=bindings)


@contextlib.asynccontextmanager
async def serving(kind: Kind, source: IdentitySource) -> AsyncGenerator[str]:
    if kind == "aio":
        server = Server(identity=source, guard=guard(source), drain=AT_ONCE)
        server.add(Demo())
        async with server:
            yield server.address
    else:
        threaded = ServerSync(identity=source, guard=guard(source), drain=AT_ONCE)
        threaded.add(DemoSync())
        threaded.start()
        try:
            yield threaded.address
        finally:
            await asyncio.to_thread(threaded.stop)


class Rotated:
    """Rotates a world, and waits until sources have their new identity."""

    def __init__(self, world: World, *sources: IdentitySource) -> None:
        self.world = world
        self.sources = sources
        self.change = threading.Condition()

    def told(self) -> None:
        with self.change:
            self.change.notify_all()

    def __call__(self) -> None:
        leaves = [source.subscribe(self.told) for source in self.sources]
        before = [source.current().svid.serial for source in self.sources]
        self.world.rotate()
        with self.change:
            assert self.change.wait_for(
                lambda: all(
                    source.current().svid.serial != old
                    for source, old in zip(self.sources, before, strict=True)
                ),
                LONG,
            )
        for leave in leaves:
            leave()


async def until(check: Callable[[], bool]) -> None:
    """Returns when `check` holds; a channel tells nobody when it has changed its connection."""

    def wait() -> bool:
        pause, end = threading.Event(), time.monotonic() + LONG
        while not check() and time.monotonic() < end:
            pause.wait(0.01)
        return check()

    assert await asyncio.to_thread(wait)


async def each(*requests: Req) -> AsyncIterator[Req]:
    for request in requests:
        yield request


def serial(identity: Identity | None) -> int:
    assert identity is not None
    return identity.svid.serial


async def all_shapes(channel: Channel) -> None:
    client = demo_mesh.DemoServiceClient(channel)
    assert (await client.echo(demo_pb2.EchoRequest(text="a"))).text == "a"
    numbers = [said.number async for said in client.count(demo_pb2.CountRequest(to=3))]
    assert numbers == [1, 2, 3]
    total = await client.sum(each(demo_pb2.SumRequest(number=1), demo_pb2.SumRequest(number=2)))
    assert total.sum == 3
    texts = [said.text async for said in client.chat(each(demo_pb2.ChatRequest(text="b")))]
    assert texts == ["b"]


def all_shapes_sync(channel: ChannelSync) -> None:
    client = demo_mesh.DemoServiceClientSync(channel)
    assert client.echo(demo_pb2.EchoRequest(text="a")).text == "a"
    assert [said.number for said in client.count(demo_pb2.CountRequest(to=3))] == [1, 2, 3]
    assert client.sum(iter([demo_pb2.SumRequest(number=3)])).sum == 3
    texts = [said.text for said in client.chat(iter([demo_pb2.ChatRequest(text="b")]))]
    assert texts == ["b"]


@pytest.mark.parametrize("kind", ["aio", "sync"])
async def test_a_channel_on_asyncio_calls_before_and_after_a_rotation(
    world: World, kind: Kind
) -> None:
    server, client = world.source(SERVER), world.source(CLIENT)
    rotate = Rotated(world, server, client)
    async with (
        serving(kind, server) as address,
        Channel(address, identity=client, callee=spiffe_id(SERVER), services=SPECS) as channel,
    ):
        await all_shapes(channel)
        await asyncio.to_thread(rotate)
        await until(lambda: serial(channel.identity) == client.current().svid.serial)
        await all_shapes(channel)
        assert await served_serial(address) == server.current().svid.serial


@pytest.mark.parametrize("kind", ["aio", "sync"])
async def test_a_channel_on_threads_calls_before_and_after_a_rotation(
    world: World, kind: Kind
) -> None:
    server, client = world.source(SERVER), world.source(CLIENT)
    rotate = Rotated(world, server, client)
    async with serving(kind, server) as address:
        channel = ChannelSync(address, identity=client, callee=spiffe_id(SERVER), services=SPECS)
        try:
            await asyncio.to_thread(all_shapes_sync, channel)
            await asyncio.to_thread(rotate)
            await until(lambda: serial(channel.identity) == client.current().svid.serial)
            await asyncio.to_thread(all_shapes_sync, channel)
            assert await served_serial(address) == server.current().svid.serial
        finally:
            await asyncio.to_thread(channel.close)


async def test_the_target_of_a_command_calls_before_and_after_a_rotation(
    world: World, tmp_path: Path
) -> None:
    if world.settings == "-":
        return
    mesh_file = tmp_path / "mesh.yaml"
    mesh_file.write_text(
        f"trust_domain: acme.example\nservices: {{{SERVER}: {{}}, {CLIENT}: {{}}}}\n"
        + world.settings.format(root=tmp_path)
    )
    server = world.source(SERVER)
    rotate = Rotated(world, server)

    def call(address: str) -> str:
        state = State(tmp_path / ".meshpact")
        target = Target(address, spiffe_id(SERVER), CLIENT, load(mesh_file), state)
        with target.channel() as channel:
            echo: grpc.UnaryUnaryMultiCallable[demo_pb2.EchoRequest, demo_pb2.EchoResponse]
            echo = channel.unary_unary(
                "/demo.v1.DemoService/Echo",
                request_serializer=demo_pb2.EchoRequest.SerializeToString,
                response_deserializer=demo_pb2.EchoResponse.FromString,
            )
            return echo(demo_pb2.EchoRequest(text="c"), timeout=LONG).text

    async with serving("aio", server) as address:
        assert await asyncio.to_thread(call, address) == "c"
        await asyncio.to_thread(rotate)
        assert await asyncio.to_thread(call, address) == "c"
