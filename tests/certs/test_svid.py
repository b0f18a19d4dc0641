"""The rules for X.509-SVIDs of workloads, one fault at a time."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

import forgedcerts as forged
from meshpact.certs.bundle import TrustBundle
from meshpact.certs.errors import CertsError
from meshpact.certs.source import FileSource
from meshpact.certs.spiffe import SpiffeId, TrustDomain
from meshpact.certs.svid import SvidError, X509Svid, check_dns_name, check_leaf
from meshpact.certs.verify import verify_peer

ROOT = forged.root()
INVENTORY = SpiffeId.parse("spiffe://acme.example/inventory")


FAULTS = [
    pytest.param({"uris": [], "dns": []}, "uri-san", id="no alternative name at all"),
    pytest.param({"uris": []}, "uri-san", id="no URI SAN"),
    pytest.param({"uris": [str(INVENTORY)] * 2}, "uri-san", id="the same URI SAN twice"),
    pytest.param({"uris": [str(INVENTORY), "https://acme.example"]}, "uri-san", id="two URI SANs"),
    pytest.param({"uris": ["https://acme.example/x"]}, "spiffe-id", id="another scheme"),
    pytest.param({"uris": ["spiffe://acme.example/a/"]}, "spiffe-id", id="bad grammar"),
    pytest.param({"uris": [f"{INVENTORY}{'y' * 2048}"]}, "spiffe-id", id="over 2048 bytes"),
    pytest.param({"uris": ["spiffe://Acme.example/x"]}, "spiffe-id", id="upper case"),
    pytest.param({"uris": ["spiffe://acme.example/%78"]}, "spiffe-id", id="percent-encoding"),
    pytest.param({"uris": ["spiffe://acme.example"]}, "path", id="an ID without a path"),
    pytest.param({"ca": True}, "basic-constraints", id="a CA"),
    pytest.param({"usages": None}, "key-usage", id="no key usage"),
    pytest.param({"usage_critical": False}, "key-usage", id="key usage not critical"),
    pytest.param({"usages": {"key_encipherment"}}, "key-usage", id="no digitalSignature"),
    pytest.param({"usages": {"digital_signature", "key_cert_sign"}}, "key-usage", id="keyCertSign"),
    pytest.param({"usages": {"digital_signature", "crl_sign"}}, "key-usage", id="cRLSign"),
    pytest.param(
        {"extended": [ExtendedKeyUsageOID.SERVER_AUTH]}, "extended-key-usage", id="servers only"
    ),
    pytest.param(
        {"extended": [ExtendedKeyUsageOID.CLIENT_AUTH]}, "extended-key-usage", id="clients only"
    ),
]


@pytest.mark.parametrize(("faults", "rule"), FAULTS)
def test_a_leaf_with_a_fault_is_refused_by_its_rule(faults: dict[str, Any], rule: str) -> None:
    with pytest.raises(SvidError) as refusal:
        check_leaf(forged.leaf(ROOT, **faults))
    assert refusal.value.rule == rule


@pytest.mark.parametrize(("faults", "rule"), FAULTS)
def test_whoever_reads_a_leaf_refuses_its_fault_by_the_same_rule(
    faults: dict[str, Any], rule: str, tmp_path: Path
) -> None:
    key = forged.new_key()
    pem, key_pem = forged.pem(forged.leaf(ROOT, key=key, **faults)), forged.key_pem(key)
    (tmp_path / "cert.pem").write_bytes(pem)
    (tmp_path / "key.pem").write_bytes(key_pem)
    bundles = {"acme.example": TrustBundle(TrustDomain("acme.example"), (ROOT.certificate,))}
    readers: list[Callable[[], object]] = [
        lambda: X509Svid.from_pem(pem, key_pem),
        lambda: verify_peer(pem, b"", bundles, time.time()),
        lambda: FileSource(tmp_path, tmp_path / "trust"),
    ]
    for reader in readers:
        with pytest.raises(CertsError) as refusal:
            reader()
        assert refusal.value.rule == rule


@pytest.mark.parametrize(
    "variation",
    [
        pytest.param({}, id="as our CA makes them"),
        pytest.param({"extended": None}, id="without extended key usage"),
        pytest.param({"ca": None}, id="without basic constraints"),
        pytest.param({"dns": []}, id="without a DNS SAN"),
        pytest.param({"dns": ["a.example", "b.example"]}, id="with foreign DNS SANs"),
        pytest.param({"usages": {"digital_signature", "key_encipherment"}}, id="with more usages"),
    ],
)
def test_a_leaf_within_the_standard_gives_its_id(variation: dict[str, Any]) -> None:
    assert check_leaf(forged.leaf(ROOT, **variation)) == INVENTORY


@pytest.mark.parametrize(
    "names", [[], ["orders.acme.example"], ["inventory.acme.example", "orders.acme.example"]]
)
def test_a_leaf_whose_dns_names_are_not_exactly_its_own_is_not_fit_to_serve(
    names: list[str],
) -> None:
    with pytest.raises(SvidError) as refusal:
        check_dns_name(forged.leaf(ROOT, dns=names), INVENTORY)
    assert refusal.value.rule == "dns-san"
    assert "inventory.acme.example" in str(refusal.value)


def test_a_key_of_another_certificate_is_refused() -> None:
    with pytest.raises(SvidError) as refusal:
        X509Svid.from_pem(forged.pem(forged.leaf(ROOT)), forged.key_pem(forged.new_key()))
    assert refusal.value.rule == "key-mismatch"


@pytest.mark.parametrize(
    ("chain", "rule"), [(b"", "pem"), (b"-----BEGIN CERTIFICATE-----\nAAAA\n", "pem")]
)
def test_a_half_written_certificate_is_refused(chain: bytes, rule: str) -> None:
    with pytest.raises(SvidError) as refusal:
        X509Svid.from_pem(chain, forged.key_pem(forged.new_key()))
    assert refusal.value.rule == rule


def test_an_svid_cannot_be_made_of_what_breaks_a_rule() -> None:
    leaf, key = forged.leaf(ROOT), b""
    assert X509Svid(INVENTORY, (leaf, ROOT.certificate), key).leaf == leaf
    other = SpiffeId.parse("spiffe://acme.example/orders")
    for spiffe_id, chain, rule in (
        (INVENTORY, (), "pem"),
        (other, (leaf,), "spiffe-id"),
        (INVENTORY, (forged.leaf(ROOT, usages=None),), "key-usage"),
        (INVENTORY, (leaf, leaf), "intermediate"),
    ):
        with pytest.raises(SvidError) as refusal:
            X509Svid(spiffe_id, chain, key)
        assert refusal.value.rule == rule


def test_a_half_written_key_is_refused_without_a_word_of_it() -> None:
    key = forged.new_key()
    half = forged.key_pem(key)[:120]
    with pytest.raises(SvidError) as refusal:
        X509Svid.from_pem(forged.pem(forged.leaf(ROOT, key=key)), half)
    assert refusal.value.rule == "key"
    assert half.splitlines()[1].decode() not in str(refusal.value)
    assert refusal.value.__cause__ is None


def test_an_svid_never_shows_its_key() -> None:
    key = forged.new_key()
    svid = X509Svid.from_pem(forged.pem(forged.leaf(ROOT, key=key)), forged.key_pem(key))
    assert "PRIVATE" not in repr(svid)
    assert svid.id == INVENTORY
    assert svid.leaf_pem == svid.chain_pem
    assert x509.load_pem_x509_certificate(svid.leaf_pem).serial_number == svid.serial
