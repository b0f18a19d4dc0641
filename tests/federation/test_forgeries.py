"""A federated domain's CA can mint no ID of ours, however it goes about it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Generator
from pathlib import Path

import grpc
import grpc.aio
import pytest

from federation.crossings import ALL_FORGERIES
from federation.forgeries import (
    CLIENT,
    FORGERIES,
    OWN,
    PARTNER,
    POSES,
    SERVER,
    Domains,
    Forge,
    honest,
)
from federation.stage import ACCEPTED, KINDS, LONG, SERVER_ID, Kind, Stage, unguarded
from meshpact.certs.bundle import TrustBundle
from meshpact.certs.bundledocument import format_document
from meshpact.certs.credentials import channel_options
from meshpact.certs.federation import FederatedDomain, Federation
from meshpact.certs.source import SourceError

AT_THE_HANDSHAKE = "UNAVAILABLE"
REFUSALS = {AT_THE_HANDSHAKE, "IDENTITY_INVALID"}


@pytest.fixture(scope="module")
def domains() -> Domains:
    return Domains()


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory, domains: Domains) -> Generator[Stage]:
    stage = Stage(tmp_path_factory.mktemp("published"), domains)
    yield stage
    stage.federation.close()


@pytest.mark.parametrize("kind", KINDS)
async def test_no_forged_certificate_passes_a_server_in_any_shape_of_call(
    stage: Stage, domains: Domains, kind: Kind
) -> None:
    async with stage.serving(kind) as address:
        for domain, name in ((OWN, CLIENT), (PARTNER, "shop")):
            outcomes = await stage.called(address, honest(domains, domain, name))
            assert outcomes == [ACCEPTED] * 4
        for what, forge in ALL_FORGERIES.items():
            outcomes = await stage.called(address, forge(domains))
            assert len(outcomes) == 4
            assert set(outcomes) <= REFUSALS, f"{what}: {outcomes}"


@pytest.mark.parametrize("kind", KINDS)
async def test_nobody_poses_as_a_server_of_ours(stage: Stage, domains: Domains, kind: Kind) -> None:
    assert await stage.posed(kind, honest(domains, OWN, SERVER)) == ACCEPTED
    for what, pose in POSES.items():
        assert await stage.posed(kind, pose(domains)) == AT_THE_HANDSHAKE, what


MINTED: list[Forge] = [
    FORGERIES["a federated root signs an ID of ours"],
    FORGERIES["a federated intermediate that poses as ours signs"],
    FORGERIES["one federated domain signs an ID of another"],
]


@pytest.mark.parametrize("forge", MINTED)
async def test_grpcio_alone_lets_the_same_certificates_pass(
    stage: Stage, domains: Domains, forge: Forge
) -> None:
    shown = forge(domains)
    credentials = grpc.ssl_channel_credentials(domains.bundle(OWN).pem, shown.key, shown.chain)
    async with (
        unguarded(stage) as address,
        grpc.aio.secure_channel(
            address, credentials, options=channel_options(SERVER_ID)
        ) as channel,
    ):
        chat: grpc.aio.StreamStreamMultiCallable[bytes, bytes] = channel.stream_stream("/a.B/C")

        async def requests() -> AsyncIterator[bytes]:
            yield b"passed"

        answers: list[object] = [answer async for answer in chat(requests(), timeout=LONG)]
    assert answers == [b"passed"]


def test_a_document_of_a_federated_domain_cannot_bring_a_bundle_for_ours(
    tmp_path: Path, domains: Domains
) -> None:
    path = tmp_path / "partner.json"
    own_root = TrustBundle(PARTNER, domains.bundle(OWN).roots)
    path.write_bytes(format_document(own_root, sequence=1))
    with pytest.raises(SourceError, match=r"is a CA of acme\.example"):
        Federation(OWN, [FederatedDomain(PARTNER, str(path))])
    path.write_bytes(format_document(domains.bundle(OWN), sequence=1))
    with pytest.raises(SourceError, match="own trust domain"):
        Federation(OWN, [FederatedDomain(OWN, str(path))])
