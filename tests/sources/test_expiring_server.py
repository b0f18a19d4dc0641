"""A server whose own identity nears its end says so in its health, and serves nothing after it."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Generator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from prometheus_client import CollectorRegistry

import tlsworld
from demoservice import Demo, DemoSync
from meshpact.certs.ca import LocalCA
from meshpact.certs.source import Identity
from meshpact.interceptors.identitymetrics import watch_identity
from meshpact.servers import Drain, Server, ServerSync
from meshpact.servers.health import HEALTH_SERVICE, IDENTITY
from meshpact.servers.wellknown import health_pb2
from meshpact.testing.sources import PushedSource

CHECK, LIST, WATCH = HEALTH_SERVICE.methods
SERVICE = "demo.v1.DemoService"
SERVING, NOT_SERVING = 1, 2
HOUR = timedelta(hours=1)
SETTINGS: dict[str, Any] = {
    "health_address": "127.0.0.1:0",
    "drain": Drain(quiet=0.0, at_most=0.0, grace=0.0),
}


class Place:
    """Identities of the server with more or less of their hour left."""

    def __init__(self, root: Path) -> None:
        self.ca = LocalCA.init(root / "ca", tlsworld.DOMAIN)
        self.source = PushedSource(self.identity(HOUR))

    def identity(self, left: timedelta) -> Identity:
        now = datetime.now(UTC) - (HOUR - left)
        svid = self.ca.issue(tlsworld.spiffe_id(tlsworld.SERVER), now=now)
        return Identity(svid, {str(tlsworld.DOMAIN): self.ca.bundle})


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@contextlib.asynccontextmanager
async def on_asyncio(place: Place) -> AsyncGenerator[str]:
    server = Server(identity=place.source, guard=tlsworld.guard(), **SETTINGS)
    server.add(Demo())
    async with server:
        yield server.health_address


@contextlib.asynccontextmanager
async def on_threads(place: Place) -> AsyncGenerator[str]:
    server = ServerSync(identity=place.source, guard=tlsworld.guard(), **SETTINGS)
    server.add(DemoSync())
    with server:
        yield server.health_address


def request(service: str) -> bytes:
    data: bytes = health_pb2.HealthCheckRequest(service=service).SerializeToString()
    return data


async def listed(channel: grpc.aio.Channel) -> dict[str, int]:
    make: Any = channel.unary_unary
    answer = await make(LIST.path, response_deserializer=LIST.response.FromString)(b"")
    return {name: each.status for name, each in answer.statuses.items()}


@pytest.mark.parametrize("serving", [on_asyncio, on_threads])
async def test_health_follows_the_life_of_the_identity(place: Place, serving: Any) -> None:
    async with serving(place) as address, grpc.aio.insecure_channel(address) as channel:
        make: Any = channel.unary_stream
        watch = make(WATCH.path, response_deserializer=WATCH.response.FromString)
        identity, whole = aiter(watch(request(IDENTITY))), aiter(watch(b""))
        assert (await anext(identity)).status == SERVING
        assert (await anext(whole)).status == SERVING
        place.source.push(place.identity(HOUR / 4))
        assert (await anext(identity)).status == NOT_SERVING
        assert await listed(channel) == {"": SERVING, SERVICE: SERVING, IDENTITY: NOT_SERVING}
        place.source.push(place.identity(-HOUR / 4))
        assert (await anext(whole)).status == NOT_SERVING
        assert await listed(channel) == dict.fromkeys(["", SERVICE, IDENTITY], NOT_SERVING)
        place.source.push(place.identity(HOUR))
        assert (await anext(whole)).status == SERVING
        assert (await anext(identity)).status == SERVING
        assert await listed(channel) == dict.fromkeys(["", SERVICE, IDENTITY], SERVING)


@pytest.mark.parametrize("serving", [on_asyncio, on_threads])
async def test_a_server_that_starts_with_an_expired_identity_never_says_that_it_serves(
    place: Place, serving: Any, caplog: pytest.LogCaptureFixture
) -> None:
    place.source.push(place.identity(-HOUR / 4))
    async with serving(place) as address, grpc.aio.insecure_channel(address) as channel:
        assert await listed(channel) == dict.fromkeys(["", SERVICE, IDENTITY], NOT_SERVING)
    assert "expired 15 minutes ago" in caplog.text


async def test_what_a_program_says_of_its_services_outlives_an_expired_identity(
    place: Place,
) -> None:
    server = Server(identity=place.source, guard=tlsworld.guard(), **SETTINGS)
    server.add(Demo())
    async with server, grpc.aio.insecure_channel(server.health_address) as channel:
        make: Any = channel.unary_stream
        watch = make(WATCH.path, response_deserializer=WATCH.response.FromString)
        whole = aiter(watch(b""))
        assert (await anext(whole)).status == SERVING
        place.source.push(place.identity(-HOUR / 4))
        assert (await anext(whole)).status == NOT_SERVING
        server.statuses.set(SERVICE, NOT_SERVING)
        place.source.push(place.identity(HOUR))
        assert (await anext(whole)).status == SERVING
        assert (await listed(channel))[SERVICE] == NOT_SERVING


@pytest.fixture
def registry() -> Generator[CollectorRegistry]:
    yield CollectorRegistry()


def test_the_metrics_say_when_the_identity_ends(place: Place, registry: CollectorRegistry) -> None:
    watch_identity(place.source, registry)
    name = "meshpact_identity_expiry_timestamp_seconds"
    assert registry.get_sample_value(name) == place.source.current().svid.not_after
    place.source.push(place.identity(HOUR / 2))
    assert registry.get_sample_value(name) == place.source.current().svid.not_after
