"""Every parser of identities, fed with what nobody wrote: it refuses in words, or it is right."""

from __future__ import annotations

import base64
import time
from itertools import permutations
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import forgedcerts as forged
from meshpact.certs import keys
from meshpact.certs.bundle import BundleError, TrustBundle, trust_domain_of
from meshpact.certs.ca import CaError, LocalCA
from meshpact.certs.describe import describe
from meshpact.certs.doctor import examine_files
from meshpact.certs.issuance import IssuanceLog
from meshpact.certs.passphrase import read_passphrase
from meshpact.certs.pem import read_certificates
from meshpact.certs.spiffe import SpiffeId, TrustDomain
from meshpact.certs.svid import SvidError, X509Svid
from meshpact.certs.verify import PeerError, verify_peer

ROOT = forged.root()
ISSUING = forged.intermediate(ROOT)
KEY = forged.new_key()
LEAF = forged.leaf(ISSUING, key=KEY)
LEAF_DER = LEAF.public_bytes(Encoding.DER)
ISSUING_DER = ISSUING.certificate.public_bytes(Encoding.DER)
CHAIN = forged.pem(LEAF, ISSUING.certificate)
KEY_PEM = forged.key_pem(KEY)
BUNDLES = {"acme.example": TrustBundle(TrustDomain("acme.example"), (ROOT.certificate,))}

pem_like = st.lists(
    st.one_of(
        st.binary(max_size=40),
        st.sampled_from(
            [
                b"-----BEGIN CERTIFICATE-----\n",
                b"-----END CERTIFICATE-----\n",
                b"-----BEGIN PRIVATE KEY-----\n",
                b"-----END PRIVATE KEY-----\n",
                b"-----BEGIN ENCRYPTED PRIVATE KEY-----\n",
                b"-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n",
                b"MIIB",
                b"\n",
                CHAIN[:300],
                KEY_PEM[:60],
            ]
        ),
    ),
    max_size=8,
).map(b"".join)


def as_pem(der: bytes) -> bytes:
    body = base64.encodebytes(der)
    return b"-----BEGIN CERTIFICATE-----\n" + body + b"-----END CERTIFICATE-----\n"


@given(pem_like)
def test_no_bytes_become_certificates_by_chance(pem: bytes) -> None:
    with pytest.raises(ValueError):
        read_certificates(pem)
    with pytest.raises(BundleError):
        TrustBundle.from_pem("acme.example", pem)
    assert trust_domain_of(pem) is None
    with pytest.raises(SvidError):
        describe(pem)


@given(pem_like, pem_like)
def test_no_bytes_become_an_svid_by_chance(chain: bytes, key: bytes) -> None:
    with pytest.raises(SvidError):
        X509Svid.from_pem(chain, KEY_PEM)
    with pytest.raises(SvidError):
        X509Svid.from_pem(CHAIN, key)


@given(pem_like, st.none() | st.binary(min_size=1, max_size=10))
def test_no_bytes_become_a_key_by_chance(pem: bytes, passphrase: bytes | None) -> None:
    with pytest.raises(keys.UnusableKey) as refusal:
        keys.decode(pem, passphrase)
    assert refusal.value.rule in ("key", "passphrase")


@given(st.integers(0, len(LEAF_DER) - 1), st.integers(1, 255))
def test_a_leaf_with_any_byte_changed_is_refused(place: int, change: int) -> None:
    odd = bytearray(LEAF_DER)
    odd[place] ^= change
    with pytest.raises(PeerError) as refusal:
        verify_peer(as_pem(bytes(odd)), as_pem(ISSUING_DER), BUNDLES, time.time())
    assert refusal.value.rule


def test_a_leaf_whose_signature_is_spelled_with_unused_bits_is_refused() -> None:
    leaf = LEAF
    while leaf.signature[-1] & 1:
        leaf = forged.leaf(ISSUING)
    odd = bytearray(leaf.public_bytes(Encoding.DER))
    odd[-len(leaf.signature) - 1] = 1
    with pytest.raises(PeerError) as refusal:
        verify_peer(as_pem(bytes(odd)), as_pem(ISSUING_DER), BUNDLES, time.time())
    assert refusal.value.rule == "pem"


@given(st.integers(0, len(ISSUING_DER) - 1), st.integers(1, 255))
def test_an_intermediate_with_any_byte_changed_is_refused(place: int, change: int) -> None:
    odd = bytearray(ISSUING_DER)
    odd[place] ^= change
    with pytest.raises(PeerError):
        verify_peer(as_pem(LEAF_DER), as_pem(bytes(odd)), BUNDLES, time.time())


@given(st.integers(0, len(CHAIN)))
def test_a_chain_cut_anywhere_loads_whole_or_not_at_all(length: int) -> None:
    try:
        svid = X509Svid.from_pem(CHAIN[:length], KEY_PEM)
    except SvidError as error:
        assert error.rule == "pem"
    else:
        assert svid.chain in ((LEAF,), (LEAF, ISSUING.certificate))


@given(st.integers(0, len(KEY_PEM) - 3))
def test_a_key_cut_anywhere_never_loads(length: int) -> None:
    with pytest.raises(SvidError) as refusal:
        X509Svid.from_pem(CHAIN, KEY_PEM[:length])
    assert refusal.value.rule == "key"


@pytest.mark.parametrize("order", list(permutations((LEAF, ISSUING.certificate, ROOT.certificate))))
def test_a_chain_proves_the_id_of_its_first_certificate_or_nothing(
    order: tuple[x509.Certificate, ...],
) -> None:
    pem = forged.pem(*order)
    if order[0] is LEAF:
        assert verify_peer(pem, b"", BUNDLES, time.time()).serial == LEAF.serial_number
    else:
        with pytest.raises(PeerError) as refusal:
            verify_peer(pem, b"", BUNDLES, time.time())
        assert refusal.value.rule == "path"


UNCHANGED = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("state") / "ca"
    LocalCA.init(directory, "acme.example").issue(SpiffeId.parse("spiffe://acme.example/inventory"))
    return directory


json_like = st.lists(
    st.sampled_from(
        [
            b'{"version":1',
            b',"generation":1',
            b',"changed":"2026-01-01T00:00:00Z"',
            b',"active":{"directory":"1","root":"' + b"0" * 64 + b'"}',
            b',"active":{"directory":"../..","root":"' + b"0" * 64 + b'"}',
            b',"generation":-1',
            b',"next":null',
            b"}",
            b"[" * 2000,
            b"\xff",
            b"\n",
        ]
    ),
    max_size=8,
).map(b"".join)


@UNCHANGED
@given(data=json_like)
def test_no_state_of_a_ca_but_its_own_is_taken(made: Path, data: bytes) -> None:
    path = made / "ca.json"
    sound = path.read_bytes()
    path.write_bytes(data)
    try:
        with pytest.raises(CaError) as refusal:
            LocalCA.load(made)
    finally:
        path.write_bytes(sound)
    assert refusal.value.rule == "state"
    LocalCA.load(made)


@UNCHANGED
@given(data=st.binary(max_size=60) | pem_like)
def test_a_log_with_any_bytes_is_read_or_refused_with_its_line(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "issued.jsonl"
    path.write_bytes(data)
    try:
        entries = list(IssuanceLog(path).entries())
    except CaError as error:
        assert error.rule == "log"
    else:
        assert entries == []


@UNCHANGED
@given(data=st.binary(max_size=60) | st.binary(min_size=1000, max_size=1100))
def test_a_passphrase_is_the_first_line_or_none(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "passphrase"
    path.write_bytes(data)
    path.chmod(0o600)
    line = data.partition(b"\n")[0].rstrip(b"\r")
    try:
        assert read_passphrase(path) == line
    except CaError as error:
        assert error.rule == "passphrase"
        assert not 0 < len(line) <= 1023


@UNCHANGED
@given(data=pem_like)
def test_the_doctor_finds_a_fault_in_any_bytes(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "odd.pem"
    path.write_bytes(data)
    path.chmod(0o600)
    found = examine_files([path], BUNDLES)
    assert [fault.rule for fault in found] in (["pem"], ["key"])
