"""A federated domain's CA can mint no ID of ours, however it goes about it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Generator
from pathlib import Path

import grpc
import grpc.aio
import pytest

from federation.crossings import ALL_FORGERIES
from federation.forgeries import (
    FORGERIES,
    OWN,
    POSES,
    SERVER,
    Domains,
    Forge,
    honest,
)
from federation.stage import (
    ACCEPTED,
    KINDS,
    LONG,
    SERVER_ID,
    Kind,
    Stage,
    published_amiss,
    unguarded,
)
from meshpact.certs.credentials import channel_options

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
        await stage.check_honest(address)
        for what, forge in ALL_FORGERIES.items():
            outcomes = await stage.called(address, forge(domains))
            assert len(outcomes) == 4
            assert set(outcomes) <= REFUSALS, f"{what}: {outcomes}"
        await stage.check_honest(address)


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


def test_no_document_brings_a_root_of_one_domain_into_the_bundle_of_another(
    tmp_path: Path, domains: Domains
) -> None:
    outcomes = published_amiss(tmp_path, domains)
    assert len(outcomes) == 4
    assert {outcome for _, outcome in outcomes} == {"trust-domain"}
