"""The development token issuer: RFC 9068 tokens, a key nobody else reads, clear refusals."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import stat
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from joserfc import jwt
from joserfc.jwk import KeySet

import forgedcerts as forged
from meshpact.certs.issuer import DEFAULT_ISSUER, Issuer, IssuerError


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "issuers" / "local"


@pytest.fixture
def issuer(directory: Path) -> Issuer:
    return Issuer.init(directory)


def read(token: str, directory: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    keys = KeySet.import_key_set(json.loads((directory / "jwks.json").read_text()))
    decoded = jwt.decode(token, keys, algorithms=["ES256"])
    return dict(decoded.header), dict(decoded.claims)


def test_a_token_has_the_claims_of_rfc_9068(issuer: Issuer, directory: Path) -> None:
    token = issuer.mint(
        "alice", audience="shop", scopes=["orders.read", "orders.write"], groups=["clerks"], now=1e9
    )
    header, claims = read(token, directory)
    assert header["typ"] == "at+jwt"
    assert header["alg"] == "ES256"
    assert len(claims.pop("jti")) >= 20
    assert claims == {
        "iss": DEFAULT_ISSUER,
        "sub": "alice",
        "aud": "shop",
        "iat": 1_000_000_000,
        "exp": 1_000_003_600,
        "client_id": "meshpact",
        "scope": "orders.read orders.write",
        "groups": ["clerks"],
    }


def test_no_two_tokens_are_the_same(issuer: Issuer) -> None:
    assert issuer.mint("alice", audience="shop") != issuer.mint("alice", audience="shop")


def test_a_token_without_scopes_and_groups_says_nothing_of_them(
    issuer: Issuer, directory: Path
) -> None:
    _, claims = read(issuer.mint("alice", audience=["shop", "books"]), directory)
    assert claims["aud"] == ["shop", "books"]
    assert not {"scope", "groups"} & set(claims)


def test_a_token_can_be_bound_to_a_certificate(issuer: Issuer, directory: Path) -> None:
    top = forged.root()
    certificate = forged.leaf(top)
    der = certificate.public_bytes(Encoding.DER)
    wanted = base64.urlsafe_b64encode(hashlib.sha256(der).digest()).rstrip(b"=").decode()
    chain = b"a comment\n" + forged.pem(certificate, top.certificate)
    _, claims = read(issuer.mint("alice", audience="shop", certificate=chain), directory)
    assert claims["cnf"] == {"x5t#S256": wanted}


def test_groups_go_into_the_claim_that_the_mesh_reads(issuer: Issuer, directory: Path) -> None:
    token = issuer.mint("alice", audience="shop", groups=["clerks"], groups_claim="roles")
    _, claims = read(token, directory)
    assert claims["roles"] == ["clerks"]
    assert "groups" not in claims


def test_the_published_keys_are_public_only(issuer: Issuer, directory: Path) -> None:
    (key,) = json.loads((directory / "jwks.json").read_text())["keys"]
    assert "d" not in key
    assert (key["alg"], key["use"], key["crv"]) == ("ES256", "sig", "P-256")
    assert issuer.key_set == {"keys": [key]}
    assert stat.S_IMODE((directory / "key.pem").stat().st_mode) == 0o600
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700


def test_a_second_init_keeps_the_key(issuer: Issuer, directory: Path) -> None:
    assert Issuer.init(directory).key_set == issuer.key_set


@pytest.mark.parametrize(
    ("asked", "rule"),
    [
        ({"user": "", "audience": "shop"}, "user"),
        ({"user": "a\nb", "audience": "shop"}, "user"),
        ({"user": "a" * 1025, "audience": "shop"}, "user"),
        ({"user": "alice", "audience": "shop", "certificate": b"-----BEGIN"}, "certificate"),
        ({"user": "alice", "audience": []}, "audience"),
        ({"user": "alice", "audience": ""}, "audience"),
        ({"user": "alice", "audience": "shop", "scopes": ["a b"]}, "scope"),
        ({"user": "alice", "audience": "shop", "scopes": [""]}, "scope"),
        ({"user": "alice", "audience": "shop", "scopes": ['a"b']}, "scope"),
        ({"user": "alice", "audience": "shop", "lifetime": timedelta(0)}, "lifetime"),
        ({"user": "alice", "audience": "shop", "lifetime": timedelta(hours=25)}, "lifetime"),
    ],
)
def test_what_a_token_cannot_say_is_refused(
    issuer: Issuer, asked: dict[str, Any], rule: str
) -> None:
    with pytest.raises(IssuerError) as refusal:
        issuer.mint(**asked)
    assert refusal.value.rule == rule


def other_key(directory: Path) -> None:
    (directory / "key.pem").write_bytes(forged.key_pem(forged.new_key()))


DAMAGES: list[tuple[Callable[[Path], object], str, str]] = [
    (lambda d: (d / "key.pem").unlink(), "key.pem", "is missing"),
    (lambda d: (d / "key.pem").write_bytes(b"-----BEGIN"), "key.pem", "not a readable"),
    (lambda d: (d / "key.pem").write_bytes(b"\xff"), "key.pem", "not a readable"),
    (lambda d: (d / "jwks.json").unlink(), "jwks.json", "is missing"),
    (lambda d: (d / "jwks.json").write_text('{"keys"'), "jwks.json", "is not JSON"),
    (other_key, "jwks.json", "does not hold the public key"),
]


@pytest.mark.parametrize(("damage", "named", "said"), DAMAGES)
def test_half_written_state_names_the_file_and_what_to_do(
    issuer: Issuer, directory: Path, damage: Callable[[Path], object], named: str, said: str
) -> None:
    damage(directory)
    with pytest.raises(IssuerError, match=re.escape(said)) as refusal:
        Issuer.init(directory)
    assert str(directory / named) in str(refusal.value)
    assert "meshpact certs init" in str(refusal.value)


def test_without_an_issuer_load_says_how_to_make_one(directory: Path) -> None:
    with pytest.raises(IssuerError, match="meshpact certs init"):
        Issuer.load(directory)
