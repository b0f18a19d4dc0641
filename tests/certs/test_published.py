"""`meshpact certs bundle`: what a mesh publishes of its CA, and what a partner makes of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from certsshell import Shell, new_shell
from meshpact.certs.bundle import TrustBundle
from meshpact.certs.bundledocument import parse_document
from meshpact.certs.ca import LocalCA
from meshpact.certs.rotation import Rotation
from meshpact.certs.spiffe import TrustDomain

DOMAIN = TrustDomain("acme.example")


@pytest.fixture
def shell(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Shell:
    return new_shell(tmp_path, capsys, monkeypatch)


def test_the_document_is_read_by_a_partner_and_its_sequence_rises_with_a_rotation(
    shell: Shell,
) -> None:
    shell.on_state("certs", "init", "--trust-domain", "acme.example")
    first = parse_document(shell.on_state("certs", "bundle").out.encode(), DOMAIN)
    assert first.bundle == LocalCA.load(shell.state / "ca").bundle
    assert (first.sequence, first.refresh_hint) == (1, 300)
    Rotation(
        shell.state / "ca", trust=shell.state / "trust", identities=shell.state / "identities"
    ).prepare()
    second = parse_document(shell.on_state("certs", "bundle").out.encode(), DOMAIN)
    assert (second.sequence, len(second.bundle.roots)) == (2, 2)


def test_pem_and_another_refresh_hint_are_printed_on_demand(shell: Shell) -> None:
    shell.on_state("certs", "init", "--trust-domain", "acme.example")
    pem = shell.on_state("certs", "bundle", "--format", "pem").out
    assert TrustBundle.from_pem(DOMAIN, pem.encode()) == LocalCA.load(shell.state / "ca").bundle
    hinted = json.loads(shell.on_state("certs", "bundle", "--refresh", "60").out)
    assert hinted["spiffe_refresh_hint"] == 60
    assert shell.on_state("certs", "bundle", "--refresh", "0").code == 2


def test_no_key_is_read_or_printed(shell: Shell) -> None:
    shell.on_state("certs", "init", "--trust-domain", "acme.example")
    for key in (shell.state / "ca").rglob("*.key.pem"):
        key.unlink()
    result = shell.on_state("certs", "bundle")
    assert result.code == 0
    assert "PRIVATE" not in result.out


def test_without_a_sound_ca_nothing_is_printed(shell: Shell) -> None:
    missing = shell.on_state("certs", "bundle")
    assert (missing.code, missing.out) == (1, "")
    assert "meshpact certs init" in missing.err
    shell.on_state("certs", "init", "--trust-domain", "acme.example")
    (shell.state / "ca" / "ca.json").write_bytes(b"{")
    broken = shell.on_state("certs", "bundle")
    assert (broken.code, broken.out) == (1, "")
    assert "ca.json" in broken.err
