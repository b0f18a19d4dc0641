"""A JWT-SVID is never an end user's access token, even where its keys are listed as an issuer's."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey

from meshpact.certs.jwtauthority import JwtAuthority
from meshpact.certs.spiffe import SpiffeId
from meshpact.interceptors.keys import FileKeys
from meshpact.testing.hosting import AUDIENCE, Kind, Workbench
from tokens.door import ALL_SHAPES, ISSUER, KINDS, issuer_of, opened, verifier
from workloadapi.world import DOMAIN

ALPHA = SpiffeId.for_service(DOMAIN, "alpha")


@pytest.fixture(scope="module")
def bench() -> Iterator[Workbench]:
    with Workbench() as bench:
        yield bench


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("token_type", ["at+jwt", "JWT"])
def test_a_jwt_svid_is_no_access_token(
    bench: Workbench, tmp_path: Path, kind: Kind, token_type: str
) -> None:
    authority = JwtAuthority(tmp_path / "jwt", DOMAIN, time.time())
    keys = tmp_path / "keys.json"
    keys.write_bytes(authority.bundle.json)
    svid = authority.issue(ALPHA, [AUDIENCE], time.time())
    issuer = issuer_of(FileKeys(keys), token_type=token_type)
    with opened(bench, kind, verifier(issuer)) as door:
        for shape in ALL_SHAPES:
            assert door.refusal(svid.token, shape) == "TOKEN_INVALID"
        assert door.seen == []


@pytest.mark.parametrize("kind", KINDS)
def test_nor_is_one_that_names_an_issuer(bench: Workbench, tmp_path: Path, kind: Kind) -> None:
    """As other authorities issue them."""
    key = ECKey.generate_key("P-256", {"kid": "k"})
    claims = {
        "iss": ISSUER,
        "sub": str(ALPHA),
        "aud": [AUDIENCE],
        "exp": int(time.time()) + 60,
        "iat": int(time.time()),
        "jti": "1",
        "client_id": "c",
    }
    keys = tmp_path / "keys.json"
    keys.write_text(json.dumps({"keys": [key.as_dict(private=False)]}))
    with opened(bench, kind, verifier(issuer_of(FileKeys(keys)))) as door:
        svid = jwt.encode({"alg": "ES256", "kid": "k", "typ": "JWT"}, claims, key)
        access = jwt.encode({"alg": "ES256", "kid": "k", "typ": "at+jwt"}, claims, key)
        assert door.refusal(svid) == "TOKEN_INVALID"
        assert door.refusal(access) == ""
