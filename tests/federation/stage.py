"""A server of a federated mesh, and forgers who call it or pose as it, over real TLS."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Generator
from pathlib import Path
from typing import Literal, TypeVar

import grpc
import grpc.aio

from demo.v1 import demo_mesh, demo_pb2
from demoservice import Demo, DemoSync
from federation.crossings import ALL_FORGERIES
from federation.forgeries import (
    CLIENT,
    GUEST,
    OTHER,
    OWN,
    PARTNER,
    POSES,
    SERVER,
    Domains,
    Shown,
    honest,
)
from meshpact.certs.bundle import TrustBundle
from meshpact.certs.bundledocument import format_document
from meshpact.certs.credentials import channel_options, server_credentials
from meshpact.certs.federatedsource import FederatedSource
from meshpact.certs.federation import FederatedDomain, Federation
from meshpact.certs.source import FixedSource, Identity, IdentitySource, SourceError
from meshpact.certs.spiffe import SpiffeId
from meshpact.certs.svid import X509Svid
from meshpact.clients import CallError, Channel, ChannelSync
from meshpact.interceptors.guard import Guard
from meshpact.interceptors.identity import Peers
from meshpact.servers import Drain, Server, ServerSync
from meshpact.testing.roles import StaticRoles

Kind = Literal["aio", "sync"]
KINDS: tuple[Kind, ...] = ("aio", "sync")
ACCEPTED = "accepted"
LONG = 60.0
AT_ONCE = Drain(quiet=0.0, at_most=0.0, grace=0.0)
SERVER_ID = SpiffeId.for_service(OWN, SERVER)
T = TypeVar("T")


class Stage:
    """A mesh that is federated with two domains by their published documents."""

    def __init__(self, folder: Path, domains: Domains) -> None:
        self.domains = domains
        published: list[FederatedDomain] = []
        for domain in (PARTNER, OTHER):
            path = folder / f"{domain}.json"
            path.write_bytes(format_document(domains.bundle(domain), sequence=1))
            published.append(FederatedDomain(domain, str(path)))
        self.federation = Federation(OWN, published)

    def source(self, name: str) -> IdentitySource:
        """The identity of a workload of the own domain, federated bundles included."""
        shown = honest(self.domains, OWN, name)
        svid = X509Svid.from_pem(shown.chain, shown.key)
        own = Identity(svid, {OWN.name: self.domains.bundle(OWN)})
        return FederatedSource(FixedSource(own), self.federation)

    @contextlib.asynccontextmanager
    async def serving(self, kind: Kind) -> AsyncGenerator[str]:
        """The server that is attacked. The honest client and the honest guest may call it."""
        source = self.source(SERVER)
        roles = StaticRoles(
            {f"spiffe://{OWN}/{name}": ["demo.caller"] for name in (CLIENT, SERVER)}
            | {GUEST: ["demo.caller"], f"spiffe://{PARTNER}": ["demo.caller"]}
        )
        guard = Guard(peers=Peers(source), bindings=roles)
        if kind == "aio":
            server = Server(identity=source, guard=guard, drain=AT_ONCE)
            server.add(Demo())
            async with server:
                yield server.address
        else:
            threaded = ServerSync(identity=source, guard=guard, drain=AT_ONCE)
            threaded.add(DemoSync())
            threaded.start()
            try:
                yield threaded.address
            finally:
                await asyncio.to_thread(threaded.stop)

    async def called(self, address: str, shown: Shown) -> list[str]:
        """What calls of the four shapes come to for a caller who shows this."""
        credentials = grpc.ssl_channel_credentials(
            self.domains.bundle(OWN).pem, shown.key, shown.chain
        )
        options = [*channel_options(SERVER_ID), ("grpc.use_local_subchannel_pool", 1)]
        async with Channel.over(
            grpc.aio.secure_channel(address, credentials, options=options)
        ) as channel:
            return [await outcome(each) for each in shapes(channel)]

    async def check_honest(self, address: str) -> None:
        """AssertionError unless those who may call get through, in every shape."""
        for domain, name in ((OWN, CLIENT), (PARTNER, "shop")):
            outcomes = await self.called(address, honest(self.domains, domain, name))
            assert outcomes == [ACCEPTED] * 4, outcomes

    async def posed(self, kind: Kind, shown: Shown) -> str:
        """What a call of the honest client comes to when whoever shows this poses as the server."""
        async with bare(shown, self.domains) as address:
            source = self.source(CLIENT)
            if kind == "aio":
                async with Channel(address, identity=source, callee=SERVER_ID) as channel:
                    return await outcome(echo(channel))
            return await asyncio.to_thread(_posed_to_threads, address, source)


def _posed_to_threads(address: str, source: IdentitySource) -> str:
    channel = ChannelSync(address, identity=source, callee=SERVER_ID)
    try:
        client = demo_mesh.DemoServiceClientSync(channel)
        client.echo(demo_pb2.EchoRequest(text="a"), timeout=LONG)
    except CallError as error:
        return error.reason or error.code.name
    finally:
        channel.close()
    return ACCEPTED


@contextlib.asynccontextmanager
async def bare(shown: Shown, domains: Domains) -> AsyncGenerator[str]:
    """A server of grpcio alone that shows this, trusts every root there is and checks nothing."""
    pem = b"".join(domains.bundle(domain).pem for domain in domains.roots)
    credentials = grpc.ssl_server_credentials(
        [(shown.key, shown.chain)], root_certificates=pem, require_client_auth=True
    )
    async with _grpcio(credentials) as address:
        yield address


@contextlib.asynccontextmanager
async def unguarded(stage: Stage) -> AsyncGenerator[str]:
    """grpcio alone with the server's own identity and the union of all trusted roots."""
    async with _grpcio(server_credentials(stage.source(SERVER))) as address:
        yield address


class _Echo(grpc.GenericRpcHandler):
    def service(
        self, handler_call_details: grpc.HandlerCallDetails
    ) -> grpc.RpcMethodHandler[bytes, bytes] | None:
        async def same(requests: AsyncIterator[bytes], _context: object) -> AsyncIterator[bytes]:
            async for request in requests:
                yield request

        return grpc.stream_stream_rpc_method_handler(same)


@contextlib.asynccontextmanager
async def _grpcio(credentials: grpc.ServerCredentials) -> AsyncGenerator[str]:
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    server.add_generic_rpc_handlers((_Echo(),))
    port = server.add_secure_port("127.0.0.1:0", credentials)
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(None)


async def stream(*requests: T) -> AsyncIterator[T]:
    for request in requests:
        yield request


async def echo(channel: Channel) -> None:
    client = demo_mesh.DemoServiceClient(channel)
    await client.echo(demo_pb2.EchoRequest(text="a"), timeout=LONG)


def shapes(channel: Channel) -> Generator[Awaitable[None]]:
    """One call of each shape."""
    client = demo_mesh.DemoServiceClient(channel)

    async def count() -> None:
        async for _ in client.count(demo_pb2.CountRequest(to=1), timeout=LONG):
            pass

    async def total() -> None:
        await client.sum(stream(demo_pb2.SumRequest(number=1)), timeout=LONG)

    async def chat() -> None:
        async for _ in client.chat(stream(demo_pb2.ChatRequest(text="a")), timeout=LONG):
            pass

    yield from (echo(channel), count(), total(), chat())


async def outcome(call: Awaitable[None]) -> str:
    """`accepted`, or the reason of the refusal; the status where the connection was refused."""
    try:
        await call
    except CallError as error:
        return error.reason or error.code.name
    return ACCEPTED


async def attempts(folder: Path) -> list[tuple[str, str]]:
    """Every forgery, tried on servers and clients of both kinds: what was tried, and its outcome.

    Honest attempts before and after must be accepted, or nothing was shown.
    """
    domains = Domains()
    stage = Stage(folder, domains)
    found: list[tuple[str, str]] = []
    try:
        for kind in KINDS:
            async with stage.serving(kind) as address:
                await stage.check_honest(address)
                for what, forge in ALL_FORGERIES.items():
                    outcomes = await stage.called(address, forge(domains))
                    found += [(f"{what} ({kind} server)", each) for each in outcomes]
                await stage.check_honest(address)
            assert await stage.posed(kind, honest(domains, OWN, SERVER)) == ACCEPTED
            for what, pose in POSES.items():
                found.append((f"{what} ({kind} client)", await stage.posed(kind, pose(domains))))
        found += published_amiss(folder, domains)
    finally:
        stage.federation.close()
    return found


def published_amiss(folder: Path, domains: Domains) -> list[tuple[str, str]]:
    """Bundle documents that would make another domain's roots, or ours, count where they must not:
    what was tried, and the rule by which it was refused."""
    path = folder / "amiss.json"
    own, partner = domains.bundle(OWN), domains.bundle(PARTNER)
    told = {
        "a federated domain publishes our root as its own": (
            PARTNER,
            TrustBundle(PARTNER, own.roots),
        ),
        "a federated domain publishes our root beside its own": (
            PARTNER,
            TrustBundle(PARTNER, partner.roots + own.roots),
        ),
        "a document is taken for our own domain": (OWN, TrustBundle(OWN, partner.roots)),
        "our own document is taken by federation": (OWN, own),
    }
    found: list[tuple[str, str]] = []
    for what, (domain, bundle) in told.items():
        path.write_bytes(format_document(bundle, sequence=1))
        try:
            Federation(OWN, [FederatedDomain(domain, str(path))]).close()
        except SourceError as error:
            found.append((what, error.rule))
        else:
            found.append((what, ACCEPTED))
    return found
