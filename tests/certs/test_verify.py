"""The check of a peer's chain: exact, by the peer's own trust domain, closed when in doubt."""

from __future__ import annotations

import base64
import math
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

import forgedcerts as forged
from meshpact.certs import profile
from meshpact.certs.bundle import TrustBundle
from meshpact.certs.profile import Signer, Validity
from meshpact.certs.spiffe import TrustDomain
from meshpact.certs.verify import PeerError, PeerIdentity, verify_peer

ROOT = forged.root("acme.example")
ISSUING = forged.intermediate(ROOT, "acme.example")
PARTNER_ROOT = forged.root("partner.example")
PARTNER_ISSUING = forged.intermediate(PARTNER_ROOT, "partner.example")


def bundle(domain: str, *roots: Signer) -> dict[str, TrustBundle]:
    certificates = tuple(root.certificate for root in roots)
    return {domain: TrustBundle(TrustDomain(domain), certificates)}


BUNDLES = {**bundle("acme.example", ROOT), **bundle("partner.example", PARTNER_ROOT)}


def verify(
    leaf: x509.Certificate,
    *intermediates: x509.Certificate,
    bundles: dict[str, TrustBundle] | None = None,
    now: float | None = None,
) -> PeerIdentity:
    return verify_peer(
        forged.pem(leaf),
        forged.pem(*intermediates),
        BUNDLES if bundles is None else bundles,
        time.time() if now is None else now,
    )


def refusal_of(*args: Any, **kwargs: Any) -> PeerError:
    with pytest.raises(PeerError) as refusal:
        verify(*args, **kwargs)
    return refusal.value


def test_a_sound_chain_proves_its_id() -> None:
    leaf = forged.leaf(ISSUING)
    peer = verify(leaf, ISSUING.certificate)
    assert str(peer.id) == "spiffe://acme.example/inventory"
    assert peer.serial == leaf.serial_number
    assert peer.not_after == leaf.not_valid_after_utc.timestamp()
    assert peer.not_before == leaf.not_valid_before_utc.timestamp()


def test_the_chain_may_repeat_the_leaf_as_tls_sends_it() -> None:
    leaf = forged.leaf(ISSUING)
    assert verify(leaf, leaf, ISSUING.certificate) == verify(leaf, ISSUING.certificate)


def test_a_leaf_signed_by_the_root_needs_no_chain() -> None:
    assert verify(forged.leaf(ROOT)).id.path == "/inventory"


def test_one_domains_ca_cannot_vouch_for_an_id_of_another() -> None:
    forgery = forged.leaf(PARTNER_ISSUING, uris=["spiffe://acme.example/inventory"])
    error = refusal_of(forgery, PARTNER_ISSUING.certificate)
    assert error.rule == "chain"
    assert "acme.example" in str(error)


def test_an_id_of_a_domain_without_a_bundle_is_refused() -> None:
    error = refusal_of(forged.leaf(ISSUING), ISSUING.certificate, bundles={})
    assert error.rule == "trust-domain"


def test_a_chain_without_its_intermediate_is_refused() -> None:
    assert refusal_of(forged.leaf(ISSUING)).rule == "chain"


def test_a_root_of_the_same_name_but_another_key_is_refused() -> None:
    impostor = forged.root("acme.example")
    assert refusal_of(forged.leaf(impostor), impostor.certificate).rule == "chain"


def test_a_workload_cannot_sign_for_another() -> None:
    key = forged.new_key()
    workload = Signer(forged.leaf(ISSUING, key=key), key)
    forgery = forged.leaf(workload, uris=["spiffe://acme.example/orders"])
    assert refusal_of(forgery, workload.certificate, ISSUING.certificate).rule == "chain"


def test_an_intermediate_below_the_issuing_one_is_refused() -> None:
    lower = forged.intermediate(ISSUING)
    assert refusal_of(forged.leaf(lower), lower.certificate, ISSUING.certificate).rule == "chain"


def test_a_ca_with_the_id_of_another_domain_is_refused() -> None:
    odd = forged.intermediate(ROOT, "partner.example")
    error = refusal_of(forged.leaf(odd), odd.certificate)
    assert error.rule == "chain"
    assert "partner.example" in str(error)


def test_a_self_signed_leaf_is_refused() -> None:
    key = forged.new_key()
    unsigned = Signer(forged.leaf(ROOT, key=key), key)
    assert refusal_of(forged.leaf(unsigned)).rule == "chain"


def test_a_changed_byte_of_the_signature_is_refused() -> None:
    leaf = forged.leaf(ISSUING)
    der = bytearray(leaf.public_bytes(Encoding.DER))
    der[-1] ^= 1
    assert refusal_of(x509.load_der_x509_certificate(bytes(der)), ISSUING.certificate).rule in (
        "chain",
        "pem",
    )


@pytest.mark.parametrize(
    ("offset", "rule"),
    [
        (-7200.0, "not-yet-valid"),
        (-0.001, "not-yet-valid"),
        (0.0, ""),
        (600.0, ""),
        (600.5, "expired"),
        (7200.0, "expired"),
    ],
)
def test_a_leaf_counts_within_its_validity_only(offset: float, rule: str) -> None:
    start = datetime.now(UTC).replace(microsecond=0)
    leaf = forged.leaf(ISSUING, validity=Validity(start, start + timedelta(seconds=600)))
    now = start.timestamp() + offset
    if rule:
        assert refusal_of(leaf, ISSUING.certificate, now=now).rule == rule
    else:
        assert verify(leaf, ISSUING.certificate, now=now).id.path == "/inventory"


@pytest.mark.parametrize("now", [math.nan, math.inf, -math.inf])
def test_a_time_that_is_none_is_refused(now: float) -> None:
    with pytest.raises(PeerError):
        verify(forged.leaf(ISSUING), ISSUING.certificate, now=now)


def test_an_expired_intermediate_is_refused_though_the_leaf_is_valid() -> None:
    past = datetime.now(UTC) - timedelta(hours=1)
    key = forged.new_key()
    old = profile.intermediate(
        TrustDomain("acme.example"),
        key.public_key(),
        ROOT,
        Validity(past - timedelta(hours=1), past),
    )
    assert refusal_of(forged.leaf(Signer(old, key)), old).rule == "chain"


def test_an_expired_root_is_refused() -> None:
    past = datetime.now(UTC) - timedelta(hours=1)
    old = forged.root("acme.example", Validity(past - timedelta(hours=1), past))
    assert refusal_of(forged.leaf(old), bundles=bundle("acme.example", old)).rule == "chain"


def test_an_unknown_critical_extension_is_refused() -> None:
    odd = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4.5"), b"\x05\x00")
    critical = forged.leaf(ISSUING, extra=[(odd, True)])
    assert refusal_of(critical, ISSUING.certificate).rule == "chain"
    harmless = forged.leaf(ISSUING, extra=[(odd, False)])
    assert verify(harmless, ISSUING.certificate).id.path == "/inventory"


def test_a_fault_of_the_leaf_is_named_by_its_own_rule() -> None:
    leaf = forged.leaf(ISSUING, usages=frozenset({"digital_signature", "key_cert_sign"}))
    assert refusal_of(leaf, ISSUING.certificate).rule == "key-usage"


@pytest.mark.parametrize("leaf", [b"", b" \n", b"-----BEGIN CERTIFICATE-----\nAA==\n", b"\xff\x00"])
def test_a_leaf_that_is_no_certificate_is_refused(leaf: bytes) -> None:
    with pytest.raises(PeerError) as refusal:
        verify_peer(leaf, b"", BUNDLES, time.time())
    assert refusal.value.rule == "pem"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param(b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x05", id="version 6"),
        pytest.param(b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x00", id="version 1"),
        pytest.param(b"spiffe://acme.example/i", b"spiffe://acme.example/\xff", id="not ASCII"),
        pytest.param(b"spiffe://acme.example/i", b"spiffe://acme.example/\x00", id="NUL"),
        pytest.param(b"\x06\x03\x55\x1d\x0f", b"\x06\x03\x55\x1d\x11", id="two SAN extensions"),
        pytest.param(b"\x2a\x86\x48\xce\x3d\x03\x01\x07", b"\x2a" * 8, id="unknown curve"),
        pytest.param(b"\x2a\x86\x48\xce\x3d\x04\x03\x02", b"\x2a" * 8, id="unknown signature"),
    ],
)
def test_a_certificate_with_odd_bytes_is_refused_and_nothing_else_happens(
    old: bytes, new: bytes
) -> None:
    der = forged.leaf(ISSUING).public_bytes(Encoding.DER)
    assert old in der
    odd = der.replace(old, new)
    body = base64.encodebytes(odd)
    pem = b"-----BEGIN CERTIFICATE-----\n" + body + b"-----END CERTIFICATE-----\n"
    with pytest.raises(PeerError):
        verify_peer(pem, forged.pem(ISSUING.certificate), BUNDLES, time.time())


def test_more_bytes_than_any_real_chain_has_are_refused_unread() -> None:
    with pytest.raises(PeerError) as refusal:
        verify_peer(forged.pem(forged.leaf(ISSUING)), b"\n" * 70_000, BUNDLES, time.time())
    assert refusal.value.rule == "size"


@given(st.binary(max_size=200), st.binary(max_size=200))
def test_no_bytes_get_through_by_chance_or_raise_anything_else(leaf: bytes, chain: bytes) -> None:
    with pytest.raises(PeerError):
        verify_peer(leaf, chain, BUNDLES, time.time())


def test_a_chain_with_a_weak_signature_is_refused() -> None:
    key = forged.new_key()
    weak = (
        x509.CertificateBuilder()
        .subject_name(ROOT.certificate.subject)
        .issuer_name(ISSUING.certificate.subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(datetime.now(UTC) - timedelta(hours=1))
        .not_valid_after(datetime.now(UTC) + timedelta(hours=1))
        .add_extension(forged.key_usage(frozenset({"digital_signature"})), critical=True)
        .add_extension(
            x509.SubjectAlternativeName(
                [x509.UniformResourceIdentifier("spiffe://acme.example/inventory")]
            ),
            critical=False,
        )
        .sign(ISSUING.key, hashes.SHA224())
    )
    assert refusal_of(weak, ISSUING.certificate).rule == "chain"
