"""The methods of the Workload API over the public socket: who is answered, with what, how often."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import Any

import grpc
import grpc.aio
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, load_der_private_key
from google.protobuf.message import Message

from meshpact.certs.jwtauthority import AHEAD, SIGNS
from meshpact.certs.jwtsvid import JwtBundle, verify_jwt_svid
from meshpact.servers.workloadapi import proto
from meshpact.servers.workloadapi.servicer import HEADER, handlers
from workloadapi.world import ALPHA, DOMAIN, NOW, OTHER, START, World, endpoint

METHODS: dict[str, tuple[Any, Any, bool]] = {
    "FetchX509SVID": (proto.X509SVIDRequest(), proto.X509SVIDResponse, True),
    "FetchX509Bundles": (proto.X509BundlesRequest(), proto.X509BundlesResponse, True),
    "FetchJWTSVID": (proto.JWTSVIDRequest(audience=["till"]), proto.JWTSVIDResponse, False),
    "FetchJWTBundles": (proto.JWTBundlesRequest(), proto.JWTBundlesResponse, True),
    "ValidateJWTSVID": (
        proto.ValidateJWTSVIDRequest(audience="till", svid="a.b.c"),
        proto.ValidateJWTSVIDResponse,
        False,
    ),
}
EVERY = pytest.mark.parametrize("method", METHODS)
Metadata = Sequence[tuple[str, str]]


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with endpoint() as made:
        yield made


@pytest.fixture
async def strangers() -> AsyncIterator[World]:
    """The same, but this process was not started by the supervisor."""
    async with endpoint(known=False) as made:
        yield made


def serialized(message: Message) -> bytes:
    return message.SerializeToString()


def multi(channel: Any, method: str) -> Any:
    """A method of an aio or a sync channel."""
    _, response, stream = METHODS[method]
    make = channel.unary_stream if stream else channel.unary_unary
    return make(
        f"/{proto.SERVICE}/{method}",
        request_serializer=serialized,
        response_deserializer=response.FromString,
    )


async def first_aio(address: str, method: str, metadata: Metadata, request: Any = None) -> Any:
    """The first answer, by asyncio."""
    async with grpc.aio.insecure_channel(address) as channel:
        call = multi(channel, method)(request or METHODS[method][0], metadata=metadata, timeout=30)
        if METHODS[method][2]:
            answer = await call.read()
            if answer is grpc.aio.EOF:
                raise AssertionError(f"no answer: {await call.code()}")
            return answer
        return await call


async def first_sync(address: str, method: str, metadata: Metadata, request: Any = None) -> Any:
    """The first answer, by threads."""

    def ask() -> Any:
        with grpc.insecure_channel(address) as channel:
            call = multi(channel, method)(
                request or METHODS[method][0], metadata=metadata, timeout=30
            )
            return next(call) if METHODS[method][2] else call

    return await asyncio.to_thread(ask)


First = Callable[..., Any]
BOTH = pytest.mark.parametrize("first", [first_aio, first_sync], ids=["aio", "sync"])


@BOTH
@EVERY
@pytest.mark.parametrize("metadata", [(), ((HEADER[0], "false"),)], ids=["none", "false"])
async def test_a_call_without_the_header_is_an_invalid_argument(
    world: World, method: str, first: First, metadata: Metadata
) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        await first(world.address, method, metadata)
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert HEADER[0] in str(refused.value.details())


@BOTH
@EVERY
async def test_a_process_that_was_not_started_gets_nothing(
    strangers: World, method: str, first: First
) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        await first(strangers.address, method, [HEADER])
    assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED


@EVERY
async def test_a_process_whose_id_is_another_s_by_now_gets_nothing(
    world: World, method: str
) -> None:
    async with grpc.aio.insecure_channel(world.address) as channel:
        await channel.channel_ready()
        world.proc.add(world.me.pid, start=START + 1)
        with pytest.raises(grpc.RpcError) as refused:
            call = multi(channel, method)(METHODS[method][0], metadata=[HEADER], timeout=30)
            await (call.read() if METHODS[method][2] else call)
    assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED


async def test_gRPC_s_own_socket_is_no_way_around_the_front(world: World) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        await first_aio(f"unix://{world.home / 'inner.sock'}", "FetchX509SVID", [HEADER])
    assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED


@BOTH
async def test_an_svid_comes_with_its_key_and_all_bundles(world: World, first: First) -> None:
    answer = await first(world.address, "FetchX509SVID", [HEADER])
    identity = world.source.current()
    (svid,) = answer.svids
    assert svid.spiffe_id == str(ALPHA)
    assert svid.x509_svid == b"".join(
        each.public_bytes(Encoding.DER) for each in identity.svid.chain
    )
    key = load_der_private_key(svid.x509_svid_key, None)
    assert key.public_key() == identity.svid.leaf.public_key()
    assert x509.load_der_x509_certificate(svid.bundle) == world.ca.bundle.roots[0]
    ((name, bundle),) = answer.federated_bundles.items()
    assert name == str(OTHER.id)
    assert x509.load_der_x509_certificate(bundle) == world.other.bundle.roots[0]


@BOTH
async def test_bundles_come_by_the_id_of_their_domain(world: World, first: First) -> None:
    answer = await first(world.address, "FetchX509Bundles", [HEADER])
    found = {name: x509.load_der_x509_certificate(der) for name, der in answer.bundles.items()}
    assert found == {
        str(DOMAIN.id): world.ca.bundle.roots[0],
        str(OTHER.id): world.other.bundle.roots[0],
    }


async def test_a_new_identity_is_pushed(world: World) -> None:
    async with grpc.aio.insecure_channel(world.address) as channel:
        call = multi(channel, "FetchX509SVID")(proto.X509SVIDRequest(), metadata=[HEADER])
        seen = {(await call.read()).svids[0].x509_svid}
        for _ in range(5):
            world.source.push(world.identity())
            seen.add((await call.read()).svids[0].x509_svid)
        assert len(seen) == 6
        call.cancel()


def test_a_new_identity_is_pushed_to_threads() -> None:
    with asyncio.Runner() as runner:
        context = endpoint()
        world = runner.run(context.__aenter__())

        def follow() -> int:
            with grpc.insecure_channel(world.address) as channel:
                call: Iterator[Any] = multi(channel, "FetchX509SVID")(
                    proto.X509SVIDRequest(), metadata=[HEADER]
                )
                seen = {next(call).svids[0].x509_svid}
                for _ in range(3):
                    world.source.push(world.identity())
                    seen.add(next(call).svids[0].x509_svid)
                return len(seen)

        assert runner.run(asyncio.to_thread(follow)) == 4
        runner.run(context.__aexit__(None, None, None))


async def test_a_bundle_is_pushed_when_it_changes_and_not_with_each_leaf(world: World) -> None:
    async with grpc.aio.insecure_channel(world.address) as channel:
        bundles = multi(channel, "FetchX509Bundles")(proto.X509BundlesRequest(), metadata=[HEADER])
        svids = multi(channel, "FetchX509SVID")(proto.X509SVIDRequest(), metadata=[HEADER])
        assert len((await bundles.read()).bundles) == 2
        await svids.read()
        world.source.push(world.identity())
        await svids.read()
        world.source.push(world.identity(federated=False))
        assert list((await bundles.read()).bundles) == [str(DOMAIN.id)]
        assert not (await svids.read()).federated_bundles
        for call in (bundles, svids):
            call.cancel()


@pytest.mark.parametrize("what", ["reused", "ended", "taken out"])
async def test_nothing_is_pushed_to_a_process_that_is_no_more(world: World, what: str) -> None:
    async with grpc.aio.insecure_channel(world.address) as channel:
        call = multi(channel, "FetchX509SVID")(proto.X509SVIDRequest(), metadata=[HEADER])
        await call.read()
        match what:
            case "reused":
                world.proc.add(world.me.pid, start=START + 1)
            case "ended":
                world.proc.remove(world.me.pid)
            case _:
                world.workloads.remove(world.me)
        world.source.push(world.identity())
        with pytest.raises(grpc.RpcError) as refused:
            await call.read()
        assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED


async def test_a_connection_of_another_service_gets_nothing_more(world: World) -> None:
    async with grpc.aio.insecure_channel(world.address) as channel:
        call = multi(channel, "FetchX509SVID")(proto.X509SVIDRequest(), metadata=[HEADER])
        await call.read()
        world.workloads.add(world.me, "beta")
        world.source.push(world.identity())
        with pytest.raises(grpc.RpcError) as refused:
            await call.read()
        assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED


async def test_a_client_that_does_not_read_gets_the_last_identity_when_it_does(
    world: World,
) -> None:
    async with grpc.aio.insecure_channel(world.address) as channel:
        slow = multi(channel, "FetchX509SVID")(proto.X509SVIDRequest(), metadata=[HEADER])
        quick = multi(channel, "FetchX509SVID")(proto.X509SVIDRequest(), metadata=[HEADER])
        for call in (slow, quick):
            await call.read()
        last = b""
        for _ in range(50):
            world.source.push(world.identity())
            last = (await quick.read()).svids[0].x509_svid
        read = 0
        while (await slow.read()).svids[0].x509_svid != last:
            read += 1
        assert read <= 50
        for call in (slow, quick):
            call.cancel()


async def test_many_clients_are_served_at_once(world: World) -> None:
    channels = [
        grpc.aio.insecure_channel(
            world.address, options=[("grpc.use_local_subchannel_pool", 1), ("n", number)]
        )
        for number in range(30)
    ]
    calls = [
        multi(channel, "FetchX509SVID")(proto.X509SVIDRequest(), metadata=[HEADER])
        for channel in channels
    ]
    await asyncio.gather(*(call.read() for call in calls))
    assert world.running.front.open == 30
    world.source.push(world.identity())
    answers = await asyncio.gather(*(call.read() for call in calls))
    assert len({answer.svids[0].x509_svid for answer in answers}) == 1
    for channel in channels:
        await channel.close()


@BOTH
async def test_a_jwt_svid_is_for_its_audience_alone(world: World, first: First) -> None:
    request = proto.JWTSVIDRequest(audience=["till", "shelf"], spiffe_id=str(ALPHA))
    answer = await first(world.address, "FetchJWTSVID", [HEADER], request)
    (svid,) = answer.svids
    assert svid.spiffe_id == str(ALPHA)
    bundles = {str(DOMAIN): world.authority.bundle}
    found = verify_jwt_svid(svid.svid, "shelf", bundles, NOW)
    assert (found.id, found.audience) == (ALPHA, ("till", "shelf"))
    check = proto.ValidateJWTSVIDRequest(audience="till", svid=svid.svid)
    checked = await first(world.address, "ValidateJWTSVID", [HEADER], check)
    assert checked.spiffe_id == str(ALPHA)
    assert checked.claims["sub"] == str(ALPHA)
    assert list(checked.claims["aud"]) == ["till", "shelf"]
    check = proto.ValidateJWTSVIDRequest(audience="door", svid=svid.svid)
    with pytest.raises(grpc.RpcError) as refused:
        await first(world.address, "ValidateJWTSVID", [HEADER], check)
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "audience" in str(refused.value.details())


@pytest.mark.parametrize(
    ("method", "request_", "code"),
    [
        ("FetchJWTSVID", proto.JWTSVIDRequest(), grpc.StatusCode.INVALID_ARGUMENT),
        ("FetchJWTSVID", proto.JWTSVIDRequest(audience=[""]), grpc.StatusCode.INVALID_ARGUMENT),
        (
            "FetchJWTSVID",
            proto.JWTSVIDRequest(audience=["x"], spiffe_id="spiffe://demo.test/beta"),
            grpc.StatusCode.PERMISSION_DENIED,
        ),
        (
            "ValidateJWTSVID",
            proto.ValidateJWTSVIDRequest(svid="a.b.c"),
            grpc.StatusCode.INVALID_ARGUMENT,
        ),
        (
            "ValidateJWTSVID",
            proto.ValidateJWTSVIDRequest(audience="x", svid="a.b.c"),
            grpc.StatusCode.INVALID_ARGUMENT,
        ),
    ],
)
async def test_what_cannot_be_answered_is_refused(
    world: World, method: str, request_: Any, code: grpc.StatusCode
) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        await first_aio(world.address, method, [HEADER], request_)
    assert refused.value.code() is code


async def test_new_keys_for_jwt_svids_are_pushed_before_they_sign(world: World) -> None:
    async with grpc.aio.insecure_channel(world.address) as channel:
        call = multi(channel, "FetchJWTBundles")(proto.JWTBundlesRequest(), metadata=[HEADER])

        def keys(answer: Any) -> JwtBundle:
            ((domain, jwks),) = answer.bundles.items()
            assert domain == str(DOMAIN.id)
            assert all(
                set(key) <= {"kty", "crv", "x", "y", "kid"} for key in json.loads(jwks)["keys"]
            )
            return JwtBundle.from_json(DOMAIN, jwks)

        old = keys(await call.read())
        world.now[0] += SIGNS - AHEAD
        world.running.api.refresh_keys()
        both = keys(await call.read())
        assert set(old.keys) < set(both.keys)
        world.now[0] += AHEAD
        token = (await first_aio(world.address, "FetchJWTSVID", [HEADER])).svids[0].svid
        assert verify_jwt_svid(token, "till", {str(DOMAIN): both}, world.now[0]).id == ALPHA
        call.cancel()


class Details(grpc.HandlerCallDetails):
    """How gRPC asks for a handler."""

    def __init__(self, method: str) -> None:
        self.method = method
        self.invocation_metadata = ()


async def test_the_private_module_of_the_library_has_what_is_taken_from_it(world: World) -> None:
    service = proto.X509SVIDRequest.DESCRIPTOR.file.services_by_name[proto.SERVICE]
    assert service.full_name == proto.SERVICE
    assert set(METHODS) == {method.name for method in service.methods}
    served = handlers(world.running.api)
    for method in service.methods:
        found = served.service(Details(f"/{proto.SERVICE}/{method.name}"))
        assert found is not None
        assert found.response_streaming == method.server_streaming
        assert not found.request_streaming
        request, response, stream = METHODS[method.name]
        assert request.DESCRIPTOR is method.input_type
        assert response.DESCRIPTOR is method.output_type
        assert stream == method.server_streaming
