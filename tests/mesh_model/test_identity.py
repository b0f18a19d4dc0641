"""The keys `identity` and `federation`: what they mean, and how each fault in them is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from meshpact.mesh.config import MeshConfig, MeshFileError, load


def mesh(folder: Path, addition: str) -> MeshConfig:
    path = folder / "mesh.yaml"
    path.write_text(f"trust_domain: acme.example\n{addition}\n")
    return load(path)


def test_without_a_word_identities_come_from_the_state_directory(tmp_path: Path) -> None:
    settings = mesh(tmp_path, "").identity
    assert (settings.workload_api, settings.files, settings.lifetime) == ("", "", 3600.0)


def test_a_workload_api_a_directory_and_federated_domains_are_read(tmp_path: Path) -> None:
    spire = mesh(tmp_path, "identity: {workload_api: 'unix:///run/agent.sock', lifetime: 2h}")
    assert spire.identity.workload_api == "unix:///run/agent.sock"
    assert spire.identity.lifetime == 7200
    mounted = mesh(
        tmp_path,
        "identity: {files: mount}\n"
        "federation:\n"
        "  a.example: {bundle: a.json}\n"
        "  b.example: {bundle: 'https://b.example/bundle?x=1', refresh: 1m}\n",
    )
    assert mounted.identity.files == str(tmp_path / "mount")
    assert mounted.federation["a.example"].bundle == str(tmp_path / "a.json")
    assert mounted.federation["a.example"].refresh == 300
    assert mounted.federation["b.example"].bundle == "https://b.example/bundle?x=1"
    assert mounted.federation["b.example"].refresh == 60


@pytest.mark.parametrize(
    ("addition", "fault"),
    [
        (
            "identity: {workload_api: 'unix:///a', files: b}",
            "identity: workload_api and files given; allowed: one of",
        ),
        (
            "identity: {workload_api: 'tcp://127.0.0.1:80'}",
            "identity.workload_api: found 'tcp://127.0.0.1:80'; allowed: the address of a Unix",
        ),
        ("identity: {workload_api: agent.sock}", "identity.workload_api: found 'agent.sock'"),
        (
            "identity: {lifetime: 25h}",
            "identity.lifetime: found '25h'; allowed: a number of seconds",
        ),
        ("identity: {lifetime: 0}", "identity.lifetime: found '0'"),
        ("identity: {socket: x}", "identity.socket: unknown key"),
        (
            "federation: {acme.example: {bundle: a}}",
            "federation.acme.example: acme.example is the trust domain of this mesh",
        ),
        ("federation: {Other: {bundle: a}}", "federation.Other: 'Other' is not a trust domain"),
        ("federation: {b.example: {}}", "federation.b.example: the key bundle is missing"),
        (
            "federation: {b.example: {bundle: 'http://b.example/'}}",
            "federation.b.example.bundle: found 'http://b.example/'; allowed: a file, or the https",
        ),
        ("federation: {b.example: {bundle: ''}}", "federation.b.example.bundle: found an empty"),
        (
            "federation: {b.example: {bundle: a, refresh: often}}",
            "federation.b.example.refresh: found 'often'",
        ),
    ],
)
def test_a_fault_is_named_with_its_place(tmp_path: Path, addition: str, fault: str) -> None:
    with pytest.raises(MeshFileError) as refusal:
        mesh(tmp_path, addition)
    assert f"mesh.yaml:2: {fault}" in str(refusal.value)


def test_the_password_in_an_address_is_not_shown(tmp_path: Path) -> None:
    with pytest.raises(MeshFileError) as refusal:
        mesh(tmp_path, "federation: {b.example: {bundle: 'https://u:hunter2@b.example/'}}")
    assert "federation.b.example.bundle: found 'https://b.example/'" in str(refusal.value)
    assert "hunter2" not in str(refusal.value)
