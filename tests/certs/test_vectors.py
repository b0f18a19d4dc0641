"""What go-spiffe and grpc-go test of SPIFFE IDs, SVIDs and bundles, as facts about Meshpact.

go-spiffe: spiffeid/{id,trustdomain,path}_test.go, svid/x509svid/{svid,verify}_test.go,
bundle/x509bundle/bundle_test.go. grpc-go: internal/credentials/spiffe_test.go,
internal/credentials/spiffe/spiffe_test.go. The cases are theirs, the certificates are made here.
"""

from __future__ import annotations

import string
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

import forgedcerts as forged
from meshpact.certs.bundle import BundleError, TrustBundle
from meshpact.certs.profile import Signer
from meshpact.certs.spiffe import SpiffeError, SpiffeId, TrustDomain, is_workload_id
from meshpact.certs.svid import SvidError, X509Svid
from meshpact.certs.verify import PeerError, verify_peer

DOMAIN_CHARACTERS = set(string.ascii_lowercase + string.digits + ".-_")
PATH_CHARACTERS = DOMAIN_CHARACTERS | set(string.ascii_uppercase)
EVERY = [chr(number) for number in range(256) if chr(number) != "/"]

WORKLOAD = "spiffe://domain1.test/workload"
CA1 = forged.root("domain1.test", forged.around_now(after=4 * forged.HOUR))
CA2 = forged.root("domain2.test")
KEY = forged.new_key()


def with_id(faults: dict[str, Any]) -> dict[str, Any]:
    return {"uris": [WORKLOAD], **faults}


def refused(text: str) -> bool:
    try:
        SpiffeId.parse(text)
    except SpiffeError:
        return not is_workload_id(text)
    return False


@pytest.mark.parametrize("character", EVERY, ids=lambda each: f"{ord(each):02X}")
def test_each_of_256_characters_is_in_the_grammar_or_not(character: str) -> None:
    in_domain = f"spiffe://trustdomain{character}/path"
    in_path = f"spiffe://trustdomain/path{character}"
    assert refused(in_domain) == (character not in DOMAIN_CHARACTERS)
    assert refused(in_path) == (character not in PATH_CHARACTERS)
    if character in DOMAIN_CHARACTERS:
        assert TrustDomain(f"trustdomain{character}").id.path == ""
    else:
        with pytest.raises(SpiffeError):
            TrustDomain(f"trustdomain{character}")


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("", "scheme"),
        ("s", "scheme"),
        ("spiffe:/", "scheme"),
        ("Spiffe://", "scheme"),
        ("SPIFFE://trustdomain", "scheme"),
        ("sparfe://domain1.test/workload", "scheme"),
        ("non-spiffe.bad", "scheme"),
        ("spiffe:/trustdomain/path", "scheme"),
        ("spiffe://", "trust-domain"),
        ("spiffe:///", "trust-domain"),
        ("spiffe:///path", "trust-domain"),
        ("spiffe:///workload/wl1", "trust-domain"),
        ("spiffe://trust$domain", "trust-domain"),
        ("spiffe://trustdomain/", "trailing-slash"),
        ("spiffe://trustdomain//", "trailing-slash"),
        ("spiffe://trustdomain//path", "empty-segment"),
        ("spiffe://trustdomain/path/", "trailing-slash"),
        ("spiffe://trustdomain/.", "dot-segment"),
        ("spiffe://trustdomain/./path", "dot-segment"),
        ("spiffe://trustdomain/path/./other", "dot-segment"),
        ("spiffe://trustdomain/path/..", "dot-segment"),
        ("spiffe://trustdomain/..", "dot-segment"),
        ("spiffe://trustdomain/../path", "dot-segment"),
        ("spiffe://trustdomain/path/../other", "dot-segment"),
        ("spiffe://%F0%9F%A4%AF/path", "percent-encoding"),
        ("spiffe://trustdomain/%F0%9F%A4%AF", "percent-encoding"),
        ("spiffe://%62%61%64/path", "percent-encoding"),
        ("spiffe://trustdomain/%62%61%64", "percent-encoding"),
        ("spiffe://trustdomain/path$", "path"),
        ("spiffe://foo.bar.com/" + "\0" * 2050, "length"),
        ("spiffe://" + "\0" * 256 + "/workload/wl1", "trust-domain"),
        ("spiffe://" + "a" * 256 + "/workload/wl1", "length"),
    ],
)
def test_what_they_refuse_is_refused(text: str, rule: str) -> None:
    with pytest.raises(SpiffeError) as refusal:
        SpiffeId.parse(text)
    assert refusal.value.rule == rule


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("spiffe://trustdomain", ""),
        ("spiffe://trustdomain/path", "/path"),
        ("spiffe://trustdomain/path/element", "/path/element"),
        ("spiffe://trustdomain/.path", "/.path"),
        ("spiffe://trustdomain/..path", "/..path"),
        ("spiffe://trustdomain/...", "/..."),
    ],
)
def test_what_they_take_is_taken(text: str, path: str) -> None:
    assert SpiffeId.parse(text) == SpiffeId(TrustDomain("trustdomain"), path)


@pytest.mark.parametrize("path", ["foo", "/", "path", "//", "/./", "/foo/"])
def test_a_path_is_checked_when_an_id_is_made_from_parts(path: str) -> None:
    with pytest.raises(SpiffeError):
        SpiffeId(TrustDomain("trustdomain"), path)


@pytest.mark.parametrize(
    ("uris", "rule"),
    [
        ([], "uri-san"),
        (["spiffe://foo.bar.com"], "path"),
        (
            [
                "spiffe://foo.bar.com/workload/wl1",
                "spiffe://bar.baz.com/workload/wl2",
                "https://foo.bar.com/workload/wl1",
            ],
            "uri-san",
        ),
        (["https://foo.bar.com/workload/wl1", "ssh://foo.bar.com/workload/wl1"], "uri-san"),
        (["spiffe://foo.bar.com/workload/wl1", "https://foo.bar.com/workload/wl1"], "uri-san"),
        (["spiffe://domain1.test/workload"] * 2, "uri-san"),
    ],
)
def test_the_ids_that_grpc_go_finds_in_no_certificate(uris: list[str], rule: str) -> None:
    with pytest.raises(PeerError) as refusal:
        verify_peer(forged.pem(forged.leaf(CA1, uris=uris)), b"", bundles(CA1), time.time())
    assert refusal.value.rule == rule


def bundles(root: Signer, domain: str = "domain1.test") -> dict[str, TrustBundle]:
    return {domain: TrustBundle(TrustDomain(domain), (root.certificate,))}


class Verification(NamedTuple):
    """A row of go-spiffe's TestVerify."""

    faults: dict[str, Any]
    bundles: dict[str, TrustBundle]
    rule: str


@pytest.mark.parametrize(
    "row",
    [
        pytest.param(Verification({}, {}, "trust-domain"), id="empty bundle"),
        pytest.param(
            Verification({}, bundles(CA2, "domain2.test"), "trust-domain"),
            id="no roots for leaf cert domain",
        ),
        pytest.param(
            Verification({"uris": ["sparfe://domain1.test/workload"]}, bundles(CA1), "spiffe-id"),
            id="bad leaf cert id",
        ),
        pytest.param(Verification({}, bundles(CA2), "chain"), id="verification fails"),
        pytest.param(Verification({"uris": []}, bundles(CA1), "uri-san"), id="no URI SAN"),
        pytest.param(
            Verification({"uris": [WORKLOAD, WORKLOAD]}, bundles(CA1), "uri-san"),
            id="more than one URI SAN",
        ),
        pytest.param(
            Verification({"ca": True}, bundles(CA1), "basic-constraints"), id="leaf is CA"
        ),
        pytest.param(
            Verification(
                {"usages": {"digital_signature", "key_cert_sign"}}, bundles(CA1), "key-usage"
            ),
            id="leaf has KeyUsageCertSign",
        ),
        pytest.param(
            Verification({"usages": {"digital_signature", "crl_sign"}}, bundles(CA1), "key-usage"),
            id="leaf has KeyUsageCRLSign",
        ),
    ],
)
def test_the_rows_of_go_spiffes_verification(row: Verification) -> None:
    leaf = forged.leaf(CA1, **with_id(row.faults))
    with pytest.raises(PeerError) as refusal:
        verify_peer(forged.pem(leaf), b"", row.bundles, time.time())
    assert refusal.value.rule == row.rule


def test_their_sound_chain_verifies_until_a_second_after_its_end() -> None:
    leaf = forged.leaf(CA1, uris=[WORKLOAD])
    end = leaf.not_valid_after_utc.timestamp()
    assert str(verify_peer(forged.pem(leaf), b"", bundles(CA1), end).id) == WORKLOAD
    with pytest.raises(PeerError) as refusal:
        verify_peer(forged.pem(leaf), b"", bundles(CA1), end + 1)
    assert refusal.value.rule == "expired"
    with pytest.raises(PeerError) as refusal:
        verify_peer(b"", b"", bundles(CA1), end)
    assert refusal.value.rule == "pem"


def test_a_bundle_without_roots_cannot_be_made() -> None:
    with pytest.raises(BundleError) as refusal:
        TrustBundle(TrustDomain("domain1.test"), ())
    assert refusal.value.rule == "empty"


def intermediate(
    *, ca: bool = True, usages: frozenset[str] = frozenset({"key_cert_sign"})
) -> x509.Certificate:
    return forged.leaf(CA1, uris=["spiffe://domain1.test"], dns=[], ca=ca, usages=usages)


def svid_pem(**faults: Any) -> bytes:
    return forged.pem(forged.leaf(CA1, key=KEY, **with_id(faults)))


def rsa_pair() -> tuple[bytes, bytes]:
    key = rsa.generate_private_key(65537, 2048)
    names = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(WORKLOAD)])
    valid = forged.around_now()
    certificate = (
        x509.CertificateBuilder()
        .subject_name(CA1.certificate.subject)
        .issuer_name(CA1.certificate.subject)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(valid.start)
        .not_valid_after(valid.end)
        .add_extension(names, critical=False)
        .add_extension(forged.key_usage(frozenset({"digital_signature"})), critical=True)
        .sign(CA1.key, hashes.SHA256())
    )
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return forged.pem(certificate), pem


GOOD = svid_pem()
GOOD_KEY = forged.key_pem(KEY)
CORRUPT = b"-----BEGIN CERTIFICATE-----\nbm90IEFTTi4x\n-----END CERTIFICATE-----\n"
CORRUPT_KEY = b"-----BEGIN PRIVATE KEY-----\nbm90IEFTTi4x\n-----END PRIVATE KEY-----\n"


@pytest.mark.parametrize(
    ("made", "certificates"),
    [
        pytest.param(rsa_pair, 1, id="Single certificate and key"),
        pytest.param(
            lambda: (GOOD + forged.pem(intermediate()), GOOD_KEY),
            2,
            id="Certificate with intermediate and key",
        ),
        pytest.param(
            lambda: (GOOD_KEY + GOOD, GOOD_KEY + GOOD),
            1,
            id="Key and certificate in the same byte array",
        ),
        pytest.param(
            lambda: (GOOD + GOOD_KEY, GOOD + GOOD_KEY),
            1,
            id="Certificate and Key in the same byte array",
        ),
    ],
)
def test_the_pairs_that_go_spiffe_parses(
    made: Callable[[], tuple[bytes, bytes]], certificates: int
) -> None:
    svid = X509Svid.from_pem(*made())
    assert str(svid.id) == WORKLOAD
    assert len(svid.chain) == certificates


@pytest.mark.parametrize(
    ("chain", "key", "rule"),
    [
        pytest.param(GOOD_KEY, GOOD_KEY, "pem", id="Missing certificate"),
        pytest.param(GOOD, GOOD, "key", id="Missing private key"),
        pytest.param(GOOD, b"not PEM", "key", id="Private key not PEM"),
        pytest.param(b"not PEM", GOOD_KEY, "pem", id="Certificate not PEM"),
        pytest.param(GOOD, CORRUPT_KEY, "key", id="Corrupt private key"),
        pytest.param(CORRUPT, GOOD_KEY, "pem", id="Corrupt certificate"),
        pytest.param(
            GOOD,
            forged.key_pem(forged.new_key()),
            "key-mismatch",
            id="Certificate does not match private key",
        ),
        pytest.param(svid_pem(uris=[]), GOOD_KEY, "uri-san", id="Certificate without SPIFFE ID"),
        pytest.param(
            svid_pem(ca=True),
            GOOD_KEY,
            "basic-constraints",
            id="Leaf certificate with CA flag set to true",
        ),
        pytest.param(
            svid_pem(usages=frozenset({"key_encipherment"})),
            GOOD_KEY,
            "key-usage",
            id="Leaf certificate without digitalSignature as key usage",
        ),
        pytest.param(
            svid_pem(usages=frozenset({"digital_signature", "key_cert_sign"})),
            GOOD_KEY,
            "key-usage",
            id="Leaf certificate with certSign as key usage",
        ),
        pytest.param(
            svid_pem(usages=frozenset({"digital_signature", "crl_sign"})),
            GOOD_KEY,
            "key-usage",
            id="Leaf certificate with cRLSign as key usage",
        ),
        pytest.param(
            GOOD + forged.pem(intermediate(ca=False)),
            GOOD_KEY,
            "intermediate",
            id="Signing certificate without CA flag",
        ),
        pytest.param(
            GOOD + forged.pem(intermediate(usages=frozenset({"crl_sign"}))),
            GOOD_KEY,
            "intermediate",
            id="Signing certificate without 'keyCertSign' usage",
        ),
    ],
)
def test_the_pairs_that_go_spiffe_refuses(chain: bytes, key: bytes, rule: str) -> None:
    with pytest.raises(SvidError) as refusal:
        X509Svid.from_pem(chain, key)
    assert refusal.value.rule == rule


@pytest.mark.parametrize("usages", [{"crl_sign"}, {"digital_signature"}])
def test_nobody_signs_for_a_peer_without_the_usage_to_sign(usages: set[str]) -> None:
    key = forged.new_key()
    odd = Signer(
        forged.leaf(
            CA1,
            uris=["spiffe://domain1.test"],
            dns=[],
            ca=True,
            usages=frozenset(usages),
            extended=None,
            key=key,
        ),
        key,
    )
    leaf = forged.leaf(odd, uris=[WORKLOAD])
    with pytest.raises(PeerError) as refusal:
        verify_peer(forged.pem(leaf), forged.pem(odd.certificate), bundles(CA1), time.time())
    assert refusal.value.rule == "chain"


@pytest.mark.parametrize(
    ("pem", "roots"),
    [
        pytest.param(forged.pem(CA1.certificate, CA2.certificate), 2, id="multiple certificates"),
        pytest.param(forged.pem(CA1.certificate), 1, id="single certificate"),
    ],
)
def test_the_bundles_that_go_spiffe_parses(pem: bytes, roots: int) -> None:
    assert len(TrustBundle.from_pem("domain1.test", pem).roots) == roots


@pytest.mark.parametrize(
    ("pem", "rule"),
    [
        # go-spiffe makes an empty bundle of nothing: here a bundle that trusts nobody is an error.
        pytest.param(b"", "pem", id="empty bytes"),
        pytest.param(b"not PEM", "pem", id="non-PEM bytes"),
        pytest.param(CORRUPT, "pem", id="a corrupted certificate"),
        pytest.param(GOOD_KEY, "pem", id="no certificate block"),
        pytest.param(GOOD, "not-a-ca", id="a workload's certificate"),
    ],
)
def test_the_bundles_that_are_refused(pem: bytes, rule: str) -> None:
    with pytest.raises(BundleError) as refusal:
        TrustBundle.from_pem("domain1.test", pem)
    assert refusal.value.rule == rule
