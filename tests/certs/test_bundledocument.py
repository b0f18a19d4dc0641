"""SPIFFE bundle documents: ours can be read again; what breaks a rule is refused by its name."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given, settings
from hypothesis import strategies as st

import forgedcerts as forged
from meshpact.certs.bundle import TrustBundle
from meshpact.certs.bundledocument import BundleDocument, format_document, parse_document
from meshpact.certs.ca import LocalCA
from meshpact.certs.errors import BundleError
from meshpact.certs.keys import KeyType
from meshpact.certs.spiffe import TrustDomain

PARTNER = TrustDomain("partner.example")
ROOTS = [forged.root("partner.example").certificate for _ in range(2)]
BUNDLE = TrustBundle(PARTNER, tuple(ROOTS))
DOCUMENT = format_document(BUNDLE, sequence=7, refresh_hint=60)


def test_a_document_of_ours_is_read_as_it_was_written() -> None:
    assert parse_document(DOCUMENT, PARTNER) == BundleDocument(BUNDLE, 7, 60)


def test_a_document_says_what_the_standard_asks_for() -> None:
    document = json.loads(DOCUMENT)
    assert document["spiffe_sequence"] == 7
    assert document["spiffe_refresh_hint"] == 60
    for key, root in zip(document["keys"], ROOTS, strict=True):
        assert key["use"] == "x509-svid"
        assert (key["kty"], key["crv"]) == ("EC", "P-256")
        assert base64.b64decode(key["x5c"][0]) == root.public_bytes(Encoding.DER)
        assert "kid" not in key


@pytest.mark.parametrize("kind", list(KeyType))
def test_roots_of_every_kind_are_spelled_and_read_again(tmp_path: Path, kind: KeyType) -> None:
    bundle = LocalCA.init(tmp_path / "ca", PARTNER, key_type=kind).bundle
    assert parse_document(format_document(bundle, sequence=1), PARTNER).bundle == bundle


def test_the_keys_for_tokens_that_stand_beside_the_roots_are_passed_over() -> None:
    token_key = {"use": "jwt-svid", "kty": "EC", "kid": "a", "crv": "P-256", "x": "AA", "y": "AA"}
    data = changed(lambda d: d["keys"].insert(0, token_key))
    assert parse_document(data, PARTNER).bundle == BUNDLE


def changed(change: Callable[[dict[str, Any]], object]) -> bytes:
    document = json.loads(DOCUMENT)
    change(document)
    return json.dumps(document).encode()


def key(**members: object) -> Callable[[dict[str, Any]], object]:
    return lambda document: document["keys"][0].update(members)


def without(name: str) -> Callable[[dict[str, Any]], object]:
    return lambda document: document["keys"][0].pop(name)


def test_sequence_and_hint_may_be_left_out() -> None:
    data = changed(lambda d: (d.pop("spiffe_sequence"), d.pop("spiffe_refresh_hint")))
    assert parse_document(data, PARTNER) == BundleDocument(BUNDLE, None, None)


@pytest.mark.parametrize(
    "change",
    [key(use="jwt-svid"), key(use="sig"), without("use"), key(kty="FUTURE"), without("kty")],
)
def test_keys_of_other_uses_and_kinds_are_passed_over(
    change: Callable[[dict[str, Any]], object],
) -> None:
    assert parse_document(changed(change), PARTNER).bundle.roots == (ROOTS[1],)


def test_unknown_members_are_passed_over() -> None:
    assert parse_document(changed(lambda d: d.update(more={"a": 1})), PARTNER).bundle == BUNDLE


def encoded(der: bytes) -> list[str]:
    return [base64.b64encode(der).decode()]


LEAF = forged.leaf(forged.root("partner.example"), uris=["spiffe://partner.example/x"])
FOREIGN = forged.root("acme.example").certificate


def as_key(certificate: Any) -> dict[str, object]:
    """The JWK of any certificate, sound or not."""
    root = forged.root("partner.example").certificate
    document = json.loads(format_document(TrustBundle(PARTNER, (root,)), sequence=1))
    numbers = certificate.public_key().public_numbers()
    made: dict[str, object] = document["keys"][0]
    for name, number in (("x", numbers.x), ("y", numbers.y)):
        made[name] = base64.urlsafe_b64encode(number.to_bytes(32, "big")).rstrip(b"=").decode()
    made["x5c"] = encoded(certificate.public_bytes(Encoding.DER))
    return made


BAD: list[tuple[bytes, str]] = [
    (b"", "json"),
    (b"[]", "json"),
    (b"null", "json"),
    (DOCUMENT[:-20], "json"),
    (b"\xff\xfe", "json"),
    (b"[" * 200_000, "json"),
    (b'{"keys": ' + b"9" * 5000 + b"}", "json"),
    (b'{"keys": [], "keys": []}', "json"),
    (b'{"keys": [], "spiffe_sequence": NaN}', "json"),
    (b"-----BEGIN CERTIFICATE-----", "json"),
    (DOCUMENT + b" " * (1 << 20), "size"),
    (b"{}", "keys"),
    (b'{"keys": {}}', "keys"),
    (b'{"keys": [1]}', "keys"),
    (b'{"keys": [' + b"{}," * 300 + b"{}]}", "keys"),
    (b'{"keys": []}', "empty"),
    (changed(lambda d: d.update(spiffe_sequence=-1)), "sequence"),
    (changed(lambda d: d.update(spiffe_sequence="7")), "sequence"),
    (changed(lambda d: d.update(spiffe_sequence=True)), "sequence"),
    (changed(lambda d: d.update(spiffe_sequence=1.5)), "sequence"),
    (changed(lambda d: d.update(spiffe_sequence=2**63)), "sequence"),
    (changed(lambda d: d.update(spiffe_refresh_hint=-5)), "refresh-hint"),
    (changed(lambda d: d.update(spiffe_refresh_hint=10**9)), "refresh-hint"),
    (changed(without("x5c")), "x5c"),
    (changed(key(x5c=[])), "x5c"),
    (changed(key(x5c="text")), "x5c"),
    (changed(key(x5c=[1])), "x5c"),
    (changed(key(x5c=["!!!!"])), "x5c"),
    (changed(key(x5c=encoded(b"nonsense"))), "x5c"),
    (changed(key(x5c=2 * encoded(ROOTS[0].public_bytes(Encoding.DER)))), "x5c"),
    (changed(key(x5c=encoded(ROOTS[1].public_bytes(Encoding.DER)))), "jwk"),
    (changed(key(crv="P-384")), "jwk"),
    (changed(key(kty="RSA")), "jwk"),
    (changed(without("y")), "jwk"),
    (changed(lambda d: d["keys"].append(as_key(LEAF))), "not-a-ca"),
    (changed(lambda d: d["keys"].append(as_key(FOREIGN))), "trust-domain"),
]


@pytest.mark.parametrize(("data", "rule"), BAD)
def test_a_document_that_breaks_a_rule_is_refused_by_its_name(data: bytes, rule: str) -> None:
    with pytest.raises(BundleError) as refusal:
        parse_document(data, PARTNER)
    assert refusal.value.rule == rule
    assert "partner.example" in str(refusal.value)
    assert len(str(refusal.value)) < 500


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=20,
)


@given(st.binary(max_size=400))
def test_any_bytes_are_read_or_refused_in_words(data: bytes) -> None:
    with pytest.raises(BundleError):
        parse_document(data, PARTNER)


@settings(max_examples=200)
@given(
    name=st.sampled_from(["use", "kty", "crv", "x", "y", "x5c", "kid"]),
    value=JSON,
    further=st.dictionaries(
        st.sampled_from(["keys", "spiffe_sequence", "spiffe_refresh_hint", "more"]), JSON
    ),
)
def test_any_change_to_a_document_is_read_or_refused_in_words(
    name: str, value: object, further: dict[str, object]
) -> None:
    document = json.loads(DOCUMENT)
    document["keys"][0][name] = value
    data = json.dumps(document | further).encode()
    try:
        found = parse_document(data, PARTNER)
    except BundleError:
        return
    assert set(found.bundle.roots) <= set(ROOTS)
