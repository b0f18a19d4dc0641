"""The endpoint as those see it who have never heard of Meshpact: the `spiffe` library, and as our
own source of identities sees any Workload API."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator

import pytest
import spiffe
from spiffe.svid.errors import InvalidTokenError

from meshpact.certs.identity import Identity
from meshpact.certs.workloadapi import WorkloadApiSource
from workloadapi.world import ALPHA, DOMAIN, World, endpoint


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with endpoint() as made:
        yield made


async def test_the_spiffe_library_follows_an_identity(world: World) -> None:
    def follow() -> None:
        pushed = threading.Event()
        with spiffe.X509Source(socket_path=world.address, timeout_in_seconds=30) as source:
            source.subscribe_for_updates(pushed.set)
            assert str(source.get_x509_context().default_svid.spiffe_id) == str(ALPHA)
            bundle = source.get_bundle_for_trust_domain(spiffe.TrustDomain(str(DOMAIN)))
            assert bundle is not None
            assert set(bundle.x509_authorities) == set(world.ca.bundle.roots)
            assert len(source.get_x509_context().x509_bundle_set.bundles) == 2
            world.source.push(world.identity(federated=False))
            assert pushed.wait(30)
            svid = source.get_x509_context().default_svid
            assert svid.leaf == world.source.current().svid.leaf
            assert len(source.get_x509_context().x509_bundle_set.bundles) == 1

    await asyncio.to_thread(follow)


async def test_the_spiffe_library_fetches_and_validates_jwt_svids() -> None:
    async with endpoint() as world:
        world.now[0] = time.time()  # the library has no other clock
        await asyncio.to_thread(_fetch_and_validate, world.address)


def _fetch_and_validate(address: str) -> None:
    with spiffe.JwtSource(socket_path=address, timeout_in_seconds=30) as source:
        svid = source.fetch_svid(audience={"till"})
        assert str(svid.spiffe_id) == str(ALPHA)
        bundle = source.get_bundle_for_trust_domain(svid.spiffe_id.trust_domain)
        assert bundle is not None
        checked = spiffe.JwtSvid.parse_and_validate(svid.token, bundle, {"till"})
        assert str(checked.spiffe_id) == str(ALPHA)
        with pytest.raises(InvalidTokenError):
            spiffe.JwtSvid.parse_and_validate(svid.token, bundle, {"door"})
    with spiffe.WorkloadApiClient(address) as client:
        assert str(client.validate_jwt_svid(svid.token, "till").spiffe_id) == str(ALPHA)


async def test_our_own_source_follows_an_identity(world: World) -> None:
    def follow() -> None:
        pushed = threading.Event()
        source = WorkloadApiSource(world.address)
        try:
            source.subscribe(pushed.set)
            same(source.current(), world.source.current())
            world.source.push(world.identity())
            assert pushed.wait(30)
            same(source.current(), world.source.current())
        finally:
            source.close()

    await asyncio.to_thread(follow)


def same(found: Identity, pushed: Identity) -> None:
    assert found.svid.chain == pushed.svid.chain
    assert {name: each.roots for name, each in found.bundles.items()} == {
        name: each.roots for name, each in pushed.bundles.items()
    }
