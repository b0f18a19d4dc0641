"""Mutual TLS between real servers and clients: who gets through, and what a reload changes."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from typing import cast

import grpc
import grpc.aio
import pytest

import forgedcerts as forged
from meshpact.certs.bundle import TrustBundle
from meshpact.certs.ca import LocalCA, write_bundle, write_svid
from meshpact.certs.credentials import channel_credentials, channel_options, server_credentials
from meshpact.certs.profile import Validity
from meshpact.certs.source import (
    FileSource,
    FixedSource,
    Identity,
    IdentitySource,
    SourceError,
)
from meshpact.certs.spiffe import SpiffeError, SpiffeId, TrustDomain
from meshpact.certs.svid import X509Svid
from meshpact.certs.verify import verify_peer
from servedcert import served_serial

METHOD = "/test.Who/AmI"
DEADLINE = 30.0


def service(name: str, domain: str = "acme.example") -> SpiffeId:
    return SpiffeId.for_service(domain, name)


class Mesh:
    """A CA in a directory, with identities as files."""

    def __init__(self, root: Path, domain: str = "acme.example") -> None:
        self.root = root
        self.domain = domain
        self.ca = LocalCA.init(root / "ca", domain)
        write_bundle(root / "trust", self.ca.bundle)

    def issue(self, name: str) -> None:
        write_svid(self.root / "identities" / name, self.ca.issue(service(name, self.domain)))

    def source(self, name: str) -> FileSource:
        self.issue(name)
        return FileSource(self.root / "identities" / name, self.root / "trust")


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Mesh:
    return Mesh(tmp_path_factory.mktemp("mesh"))


def answer(
    source: IdentitySource,
    context: grpc.ServicerContext | grpc.aio.ServicerContext[bytes, bytes],
) -> bytes:
    """Who the peer is, from what the connection shows of it, checked as a guard does."""
    auth = cast("Mapping[str, Sequence[bytes]]", context.auth_context())
    if "x509_pem_cert" not in auth:
        return b"nobody"
    leaf, chain = b"".join(auth["x509_pem_cert"]), b"".join(auth.get("x509_pem_cert_chain", []))
    peer = verify_peer(leaf, chain, source.current().bundles, time.time())
    return str(peer.id).encode()


class AioWho(grpc.GenericRpcHandler):
    def __init__(self, source: IdentitySource) -> None:
        self.source = source

    def service(
        self, handler_call_details: grpc.HandlerCallDetails
    ) -> grpc.RpcMethodHandler[bytes, bytes]:
        async def who(_: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
            return answer(self.source, context)

        return grpc.unary_unary_rpc_method_handler(who)


class SyncWho(grpc.GenericRpcHandler):
    def __init__(self, source: IdentitySource) -> None:
        self.source = source

    def service(
        self, handler_call_details: grpc.HandlerCallDetails
    ) -> grpc.RpcMethodHandler[bytes, bytes]:
        def who(_: bytes, context: grpc.ServicerContext) -> bytes:
            return answer(self.source, context)

        return grpc.unary_unary_rpc_method_handler(who)


@asynccontextmanager
async def aio_server(source: IdentitySource, *, require_client: bool = True) -> AsyncGenerator[str]:
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    server.add_generic_rpc_handlers((AioWho(source),))
    credentials = server_credentials(source, require_client=require_client)
    port = server.add_secure_port("127.0.0.1:0", credentials)
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(None)


@contextmanager
def sync_server(source: IdentitySource, *, require_client: bool = True) -> Generator[str]:
    server = grpc.server(ThreadPoolExecutor(2), options=[("grpc.so_reuseport", 0)])
    server.add_generic_rpc_handlers((SyncWho(source),))
    credentials = server_credentials(source, require_client=require_client)
    port = server.add_secure_port("127.0.0.1:0", credentials)
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(None).wait()


def options(callee: SpiffeId) -> list[tuple[str, object]]:
    return [*channel_options(callee), ("grpc.use_local_subchannel_pool", 1)]


async def call(
    address: str, credentials: grpc.ChannelCredentials, callee: SpiffeId | None = None
) -> str:
    async with grpc.aio.secure_channel(
        address, credentials, options=options(callee or service("inventory"))
    ) as channel:
        who: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(METHOD)
        return (await who(b"", timeout=DEADLINE)).decode()


def call_sync(address: str, credentials: grpc.ChannelCredentials) -> str:
    with grpc.secure_channel(
        address, credentials, options=options(service("inventory"))
    ) as channel:
        who: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(METHOD)
        return who(b"", timeout=DEADLINE).decode()


async def refused(call: Callable[[], Awaitable[str]]) -> str:
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await call()
    assert failure.value.code() is grpc.StatusCode.UNAVAILABLE
    return failure.value.details() or ""


async def test_both_sides_prove_who_they_are_on_aio(mesh: Mesh) -> None:
    async with aio_server(mesh.source("inventory")) as address:
        reply = await call(address, channel_credentials(mesh.source("orders")))
    assert reply == "spiffe://acme.example/orders"


def test_both_sides_prove_who_they_are_on_threads(mesh: Mesh) -> None:
    with sync_server(mesh.source("inventory")) as address:
        reply = call_sync(address, channel_credentials(mesh.source("orders")))
    assert reply == "spiffe://acme.example/orders"


async def test_a_client_without_a_certificate_is_refused(mesh: Mesh) -> None:
    bare = grpc.ssl_channel_credentials(mesh.ca.bundle.pem)
    async with aio_server(mesh.source("inventory")) as address:
        await refused(lambda: call(address, bare))


def test_a_client_without_a_certificate_is_refused_on_threads(mesh: Mesh) -> None:
    bare = grpc.ssl_channel_credentials(mesh.ca.bundle.pem)
    with sync_server(mesh.source("inventory")) as address:
        with pytest.raises(grpc.RpcError) as failure:
            call_sync(address, bare)
        assert failure.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_a_server_may_leave_out_the_question_for_a_certificate(mesh: Mesh) -> None:
    bare = grpc.ssl_channel_credentials(mesh.ca.bundle.pem)
    async with aio_server(mesh.source("inventory"), require_client=False) as address:
        assert await call(address, bare) == "nobody"


async def test_a_server_that_leaves_out_the_question_sees_nobodys_certificate(mesh: Mesh) -> None:
    async with aio_server(mesh.source("inventory"), require_client=False) as address:
        assert await call(address, channel_credentials(mesh.source("orders"))) == "nobody"


async def test_a_client_of_a_ca_that_is_not_trusted_is_refused(mesh: Mesh, tmp_path: Path) -> None:
    stranger = Mesh(tmp_path, "acme.example").source("orders").current()
    posing = Identity(stranger.svid, {"acme.example": mesh.ca.bundle})
    async with aio_server(mesh.source("inventory")) as address:
        await refused(lambda: call(address, channel_credentials(FixedSource(posing))))


async def test_a_server_of_a_ca_that_is_not_trusted_is_refused(mesh: Mesh, tmp_path: Path) -> None:
    stranger = Mesh(tmp_path, "acme.example").source("inventory")
    async with aio_server(stranger) as address:
        details = await refused(lambda: call(address, channel_credentials(mesh.source("orders"))))
    assert "CERTIFICATE_VERIFY_FAILED" in details


async def test_another_service_of_the_same_mesh_is_not_taken_for_the_callee(mesh: Mesh) -> None:
    async with aio_server(mesh.source("orders")) as address:
        await refused(lambda: call(address, channel_credentials(mesh.source("store"))))


async def test_a_server_named_by_a_wildcard_or_a_common_name_is_refused(mesh: Mesh) -> None:
    root = forged.root()
    bundles = {"acme.example": TrustBundle(TrustDomain("acme.example"), (root.certificate,))}

    def identity(dns: list[str]) -> FixedSource:
        key = forged.new_key()
        leaf = forged.leaf(root, dns=dns, key=key)
        return FixedSource(
            Identity(X509Svid.from_pem(forged.pem(leaf), forged.key_pem(key)), bundles)
        )

    caller = channel_credentials(identity(["orders.acme.example"]))
    async with aio_server(identity([])) as address:
        await refused(lambda: call(address, caller))
    async with aio_server(identity(["inventory.acme.example"])) as address:
        assert await call(address, caller) == "spiffe://acme.example/inventory"


async def test_a_trusted_partners_ca_cannot_pose_as_a_server_of_this_domain(
    mesh: Mesh,
) -> None:
    partner = forged.root("partner.example")
    bundle = TrustBundle(TrustDomain("partner.example"), (partner.certificate,))
    own = mesh.source("orders").current()
    caller = FixedSource(Identity(own.svid, {**own.bundles, "partner.example": bundle}))

    def server(name: str, dns: str) -> FixedSource:
        key = forged.new_key()
        uri = f"spiffe://partner.example/{name}"
        svid = X509Svid.from_pem(
            forged.pem(forged.leaf(partner, uris=[uri], dns=[dns], key=key)), forged.key_pem(key)
        )
        return FixedSource(Identity(svid, caller.current().bundles))

    async with aio_server(server("inventory", "inventory.acme.example")) as address:
        for credentials in (
            channel_credentials(caller),
            channel_credentials(caller, service("inventory")),
        ):
            details = await refused(partial(call, address, credentials))
            assert "CERTIFICATE_VERIFY_FAILED" in details
    theirs = service("inventory", "partner.example")
    async with aio_server(server("inventory", "inventory.partner.example")) as address:
        reply = await call(address, channel_credentials(caller, theirs), theirs)
    assert reply == "spiffe://acme.example/orders"


def test_a_callee_of_a_domain_that_is_not_trusted_is_refused_at_once(mesh: Mesh) -> None:
    with pytest.raises(SourceError, match=r"partner\.example is not trusted here"):
        channel_credentials(mesh.source("orders"), service("inventory", "partner.example"))


async def test_an_expired_client_is_refused_at_the_handshake(mesh: Mesh) -> None:
    root = forged.root()
    bundles = {"acme.example": TrustBundle(TrustDomain("acme.example"), (root.certificate,))}

    def identity(name: str, validity: Validity) -> FixedSource:
        key = forged.new_key()
        leaf = forged.leaf(
            root,
            uris=[f"spiffe://acme.example/{name}"],
            dns=[f"{name}.acme.example"],
            validity=validity,
            key=key,
        )
        return FixedSource(
            Identity(X509Svid.from_pem(forged.pem(leaf), forged.key_pem(key)), bundles)
        )

    valid = forged.around_now()
    past = Validity(valid.start - forged.HOUR, valid.start)
    async with aio_server(identity("inventory", valid)) as address:
        await refused(lambda: call(address, channel_credentials(identity("orders", past))))


async def test_a_running_server_shows_its_new_certificate_after_the_files_change(
    mesh: Mesh,
) -> None:
    source = mesh.source("inventory")
    first = source.current().svid.serial
    async with aio_server(source) as address:
        assert await served_serial(address) == first
        mesh.issue("inventory")
        second = await served_serial(address)
        assert second == source.current().svid.serial != first
        assert await call(address, channel_credentials(mesh.source("orders")))


async def test_a_running_server_trusts_a_new_ca_from_the_next_connection_on(
    tmp_path: Path,
) -> None:
    mesh, partner = Mesh(tmp_path / "a"), Mesh(tmp_path / "b", "partner.example")
    partner_svid = partner.source("orders").current().svid
    caller = FixedSource(Identity(partner_svid, {"acme.example": mesh.ca.bundle}))
    async with aio_server(mesh.source("inventory")) as address:
        credentials = channel_credentials(caller, service("inventory"))
        await refused(lambda: call(address, credentials))
        write_bundle(mesh.root / "trust", partner.ca.bundle)
        reply = await call(address, credentials)
        assert reply == "spiffe://partner.example/orders"
        (mesh.root / "trust" / "partner.example.pem").unlink()
        await refused(lambda: call(address, credentials))


def test_a_running_sync_server_follows_its_files_too(tmp_path: Path) -> None:
    mesh = Mesh(tmp_path)
    source = mesh.source("inventory")
    with sync_server(source) as address:
        assert call_sync(address, channel_credentials(mesh.source("orders")))
        mesh.issue("inventory")
        assert call_sync(address, channel_credentials(mesh.source("orders")))


class Failing:
    """A source that can be broken."""

    def __init__(self, identity: Identity) -> None:
        self.identity = identity
        self.broken = False

    def current(self) -> Identity:
        if self.broken:
            raise RuntimeError("gone")
        return self.identity

    def subscribe(self, callback: Callable[[], None]) -> Callable[[], None]:
        return callback


async def test_a_source_that_fails_leaves_the_last_identity_in_service(
    mesh: Mesh, caplog: pytest.LogCaptureFixture
) -> None:
    failing = Failing(mesh.source("inventory").current())
    async with aio_server(failing) as address:
        failing.broken = True
        await served_serial(address)
        failing.broken = False
        assert await call(address, channel_credentials(mesh.source("orders")))
    assert "the last identity stays" in caplog.text
    assert "PRIVATE" not in caplog.text


def test_a_service_without_a_dns_name_cannot_be_dialled() -> None:
    with pytest.raises(SpiffeError, match="DNS name"):
        channel_options(SpiffeId.parse("spiffe://acme.example/ns/shop"))


async def test_tls_below_1_2_is_refused(mesh: Mesh) -> None:
    import asyncio
    import ssl
    import warnings

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    async with aio_server(mesh.source("inventory")) as address:
        host, port = address.rsplit(":", 1)
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await asyncio.open_connection(host, int(port), ssl=context)
