"""A JWT-SVID is never taken for an access token, nor an access token for a JWT-SVID."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from meshpact.certs.jwtauthority import JwtAuthority
from meshpact.certs.jwtsvid import JwtBundle, JwtSvidError, verify_jwt_svid
from meshpact.certs.spiffe import SpiffeId, TrustDomain
from meshpact.interceptors.keyring import KeysError, parse_keys
from meshpact.interceptors.keys import FileKeys
from meshpact.testing.hosting import AUDIENCE, Workbench
from meshpact.testing.tokens import TokenIssuer
from tokens.door import ISSUER, issuer_of, opened, sound, verifier

DOMAIN = TrustDomain("test.example")
CALLER = SpiffeId.parse("spiffe://test.example/caller")


@pytest.fixture(scope="module")
def bench() -> Iterator[Workbench]:
    with Workbench() as bench:
        yield bench


@pytest.mark.parametrize("token_type", ["at+jwt", "JWT"])
def test_a_jwt_svid_is_no_access_token_even_with_the_same_keys(
    bench: Workbench, tmp_path: Path, token_type: str
) -> None:
    authority = JwtAuthority(tmp_path / "jwt", DOMAIN, time.time())
    (tmp_path / "jwks.json").write_bytes(authority.bundle.json)
    svid = authority.issue(CALLER, [AUDIENCE], time.time()).token
    keys = FileKeys(tmp_path / "jwks.json")
    issuers = [issuer_of(keys, name, token_type=token_type) for name in (ISSUER, str(DOMAIN), "")]
    with opened(bench, "aio", verifier(*issuers)) as door:
        assert door.refusal(svid) == "TOKEN_INVALID"


@pytest.mark.parametrize("typ", ["JWT", "JOSE", None])
def test_a_jwt_svid_with_every_claim_of_an_access_token_is_none(
    bench: Workbench, tmp_path: Path, typ: object
) -> None:
    issuer = TokenIssuer(ISSUER)
    keys = FileKeys(issuer.write_jwks(tmp_path / "jwks.json"))
    token = issuer.mint(str(CALLER), audience=[AUDIENCE], header={"typ": typ})
    bundle = JwtBundle.from_json(DOMAIN, issuer.jwks.encode())
    assert verify_jwt_svid(token, AUDIENCE, {DOMAIN.name: bundle}, time.time()).id == CALLER
    for token_type in ("at+jwt", "JWT"):
        with opened(bench, "aio", verifier(issuer_of(keys, token_type=token_type))) as door:
            assert door.refusal(token) == "TOKEN_INVALID"


@pytest.mark.parametrize("claims", [{}, {"sub": str(CALLER)}])
def test_an_access_token_is_no_jwt_svid(claims: dict[str, str]) -> None:
    issuer = TokenIssuer(ISSUER)
    bundle = JwtBundle.from_json(DOMAIN, issuer.jwks.encode())
    with pytest.raises(JwtSvidError):
        verify_jwt_svid(sound(issuer, **claims), AUDIENCE, {DOMAIN.name: bundle}, time.time())


def test_the_keys_of_a_spiffe_bundle_are_not_keys_of_a_token_issuer() -> None:
    key = {**TokenIssuer(ISSUER).jwk, "use": "jwt-svid"}
    with pytest.raises(KeysError, match="none of the 1 keys"):
        parse_keys(json.dumps({"keys": [key]}).encode())
