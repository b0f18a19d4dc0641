"""JWT-SVIDs: each rule of the standard broken one at a time; what they are never taken for."""

import base64
import hmac
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jws
from joserfc.jwk import ECKey, OctKey, RSAKey

from meshpact.certs.issuer import DEFAULT_ISSUER, Issuer
from meshpact.certs.jwtauthority import AHEAD, LIFETIME, SIGNS, JwtAuthority
from meshpact.certs.jwtsvid import JwtBundle, JwtSvidError, verify_jwt_svid
from meshpact.certs.spiffe import SpiffeId, TrustDomain

DOMAIN = TrustDomain("demo.test")
ALPHA = SpiffeId.for_service(DOMAIN, "alpha")
NOW = 1_800_000_000.0
KEY = ECKey.generate_key("P-256", {"kid": "k"})
RSA = RSAKey.generate_key(2048, {"kid": "r"})
BUNDLES = {
    str(DOMAIN): JwtBundle.from_json(
        DOMAIN, json.dumps({"keys": [k.as_dict(private=False) for k in (KEY, RSA)]}).encode()
    )
}
HEADER: dict[str, Any] = {"alg": "ES256", "typ": "JWT", "kid": "k"}
CLAIMS: dict[str, Any] = {"sub": str(ALPHA), "aud": ["till"], "exp": NOW + 60, "iat": NOW}


def encode(value: object) -> str:
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def token(claims: object = CLAIMS, key: Any = KEY, **header: Any) -> str:
    """A signed token; a header of None is left out."""
    named = {name: value for name, value in (HEADER | header).items() if value is not None}
    payload = claims if isinstance(claims, bytes) else json.dumps(claims).encode()
    return jws.serialize_compact(named, payload, key, algorithms=[named["alg"]])


def without(*names: str) -> dict[str, Any]:
    return {name: value for name, value in CLAIMS.items() if name not in names}


def refusal(text: str, audience: str = "till", now: float = NOW) -> str:
    with pytest.raises(JwtSvidError) as refused:
        verify_jwt_svid(text, audience, BUNDLES, now)
    assert text not in str(refused.value)
    return refused.value.rule


@pytest.mark.parametrize("typ", [None, "JWT", "JOSE"])
@pytest.mark.parametrize("audience", [["till"], "till", ["door", "till"]])
def test_a_token_that_keeps_all_rules_is_a_jwt_svid(typ: str | None, audience: object) -> None:
    text = token(CLAIMS | {"aud": audience}, typ=typ)
    svid = verify_jwt_svid(text, "till", BUNDLES, NOW)
    assert svid.id == ALPHA
    assert svid.expires == NOW + 60
    assert svid.claims["iat"] == NOW
    assert text not in repr(svid)


@pytest.mark.parametrize("algorithm", ["RS256", "RS512", "PS256", "PS384"])
def test_keys_of_rsa_are_taken_too(algorithm: str) -> None:
    assert verify_jwt_svid(token(key=RSA, kid="r", alg=algorithm), "till", BUNDLES, NOW).id == ALPHA


WRONG_CLAIMS: list[tuple[Any, str]] = [
    (without("sub"), "sub"),
    (CLAIMS | {"sub": "alpha"}, "sub"),
    (CLAIMS | {"sub": 7}, "sub"),
    (CLAIMS | {"sub": "spiffe://demo.test"}, "sub"),
    (CLAIMS | {"sub": "spiffe://demo.test/a/../b"}, "sub"),
    (CLAIMS | {"sub": "spiffe://other.test/alpha"}, "trust-domain"),
    (without("aud"), "aud"),
    (CLAIMS | {"aud": []}, "aud"),
    (CLAIMS | {"aud": ""}, "aud"),
    (CLAIMS | {"aud": ["door"]}, "aud"),
    (CLAIMS | {"aud": ["till", 7]}, "aud"),
    (CLAIMS | {"aud": {"till": 1}}, "aud"),
    (without("exp"), "exp"),
    (CLAIMS | {"exp": NOW}, "exp"),
    (CLAIMS | {"exp": str(NOW + 60)}, "exp"),
    (CLAIMS | {"exp": True}, "exp"),
    (CLAIMS | {"exp": None}, "exp"),
    (CLAIMS | {"exp": 10**400}, "exp"),
    (CLAIMS | {"nbf": NOW + 60}, "nbf"),
    (CLAIMS | {"nbf": "soon"}, "nbf"),
    ([], "encoding"),
    (b'{"sub": "a", "sub": "b"}', "encoding"),
    (b'{"exp": NaN}', "encoding"),
    (b"[" * 5000, "encoding"),
    (b"\xff", "encoding"),
]


@pytest.mark.parametrize(("claims", "rule"), WRONG_CLAIMS)
def test_claims_that_break_a_rule_are_refused_by_its_name(claims: object, rule: str) -> None:
    assert refusal(token(claims)) == rule


@pytest.mark.parametrize(
    ("header", "rule"),
    [
        ({"typ": "at+jwt"}, "typ"),
        ({"typ": "jwt"}, "typ"),
        ({"typ": 7}, "typ"),
        ({"kid": None}, "key"),
        ({"kid": ""}, "key"),
        ({"kid": "../k"}, "key"),
        ({"crit": ["exp"], "exp": 1}, "crit"),
    ],
)
def test_headers_that_break_a_rule_are_refused_by_its_name(
    header: dict[str, Any], rule: str
) -> None:
    named = {name: value for name, value in (HEADER | header).items() if value is not None}
    text = f"{encode(named)}.{encode(CLAIMS)}.{encode(b'x' * 64)}"
    assert refusal(text) == rule


@pytest.mark.parametrize("algorithm", ["none", "None", "HS256", "EdDSA", "", 7, None, ["ES256"]])
def test_other_algorithms_are_refused(algorithm: object) -> None:
    text = f"{encode(HEADER | {'alg': algorithm})}.{encode(CLAIMS)}.{encode(b'x' * 64)}"
    assert refusal(text) == "alg"


def test_a_public_key_is_no_shared_secret() -> None:
    signed = f"{encode(HEADER | {'alg': 'HS256'})}.{encode(CLAIMS)}"
    mac = hmac.digest(KEY.as_pem(private=False), signed.encode(), "sha256")
    assert refusal(f"{signed}.{encode(mac)}") == "alg"


@pytest.mark.parametrize("algorithm", ["ES384", "RS256", "PS256"])
def test_a_key_signs_by_its_own_algorithm_alone(algorithm: str) -> None:
    text = f"{encode(HEADER | {'alg': algorithm})}.{encode(CLAIMS)}.{encode(b'x' * 96)}"
    assert refusal(text) == "signature"


def test_a_signature_by_another_key_of_the_same_name_is_refused() -> None:
    assert refusal(token(key=ECKey.generate_key("P-256", {"kid": "k"}))) == "signature"


CHANGES: dict[str, Callable[[str], str]] = {
    "padding": lambda text: text + "=",
    "a line": lambda text: text.replace(".", ".\n", 1),
    "cut": lambda text: text[:-1],
    "four parts": lambda text: text + ".x",
    "no signature": lambda text: text.rpartition(".")[0] + ".",
    "nothing": lambda _: "",
    "too long": lambda text: text + "A" * 20_000,
    "JSON": lambda _: json.dumps({"payload": "x", "signatures": []}),
}


@pytest.mark.parametrize("change", CHANGES)
def test_other_serializations_are_refused(change: str) -> None:
    with pytest.raises(JwtSvidError):
        verify_jwt_svid(CHANGES[change](token()), "till", BUNDLES, NOW)


@given(st.text(max_size=200) | st.from_regex(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+"))
def test_no_text_makes_the_validator_stumble(text: str) -> None:
    with pytest.raises(JwtSvidError):
        verify_jwt_svid(text, "till", BUNDLES, NOW)


@pytest.mark.parametrize(
    "data",
    [b"", b"[]", b"{}", b'{"keys": 7}', b'{"keys": [7]}', b'{"keys": [{"kid": "x", "kty": "EC"}]}'],
)
def test_a_bundle_that_is_none_is_refused(data: bytes) -> None:
    with pytest.raises(JwtSvidError) as refused:
        JwtBundle.from_json(DOMAIN, data)
    assert refused.value.rule == "bundle"


def test_a_bundle_keeps_only_keys_for_signatures() -> None:
    secret = OctKey.generate_key(256, {"kid": "s"}).as_dict()
    nameless = {name: value for name, value in KEY.as_dict(private=False).items() if name != "kid"}
    of_tls = KEY.as_dict(private=False) | {"use": "x509-svid"}
    ours = KEY.as_dict(private=False) | {"use": "jwt-svid"}
    data = json.dumps({"keys": [secret, nameless, of_tls, ours]}).encode()
    assert list(JwtBundle.from_json(DOMAIN, data).keys) == ["k"]


def authority(directory: Path, now: float = NOW) -> JwtAuthority:
    return JwtAuthority(directory, DOMAIN, now)


def test_keys_are_the_owner_s_alone_and_stay_over_a_restart(tmp_path: Path) -> None:
    first = authority(tmp_path / "jwt")
    text = first.issue(ALPHA, ["till"], NOW).token
    assert (tmp_path / "jwt").stat().st_mode & 0o077 == 0
    assert (tmp_path / "jwt" / "keys.json").stat().st_mode & 0o077 == 0
    again = authority(tmp_path / "jwt")
    assert verify_jwt_svid(text, "till", {str(DOMAIN): again.bundle}, NOW).id == ALPHA
    assert "BEGIN" not in repr(again) + repr(first.bundle)


def test_no_token_is_ever_without_its_key_while_keys_follow_each_other(tmp_path: Path) -> None:
    signing = authority(tmp_path / "jwt")
    published: list[tuple[float, JwtBundle]] = []
    issued: list[tuple[float, str]] = []
    kids: set[str] = set()
    minute = 0.0
    while minute < 3.5 * SIGNS:
        now = NOW + minute
        if signing.refresh(now) or not published:
            published.append((now, signing.bundle))
        text = signing.issue(ALPHA, ["till"], now).token
        issued.append((now, text))
        kids.add(json.loads(base64.urlsafe_b64decode(text.split(".")[0] + "=="))["kid"])
        minute += LIFETIME / 2
    assert len(kids) == 4
    assert all(len(bundle.keys) <= 2 for _, bundle in published)
    for at, text in issued:
        # Whoever has the bundle of then, or one as old as AHEAD allows, or the newest one of the
        # token's lifetime, can check it.
        for moment in (at, max(NOW, at - AHEAD + LIFETIME), at + LIFETIME - 1):
            bundle = [each for since, each in published if since <= moment][-1]
            assert verify_jwt_svid(text, "till", {str(DOMAIN): bundle}, at).id == ALPHA


def test_an_authority_that_rested_for_long_publishes_a_key_before_it_signs(tmp_path: Path) -> None:
    (kid,) = authority(tmp_path / "jwt").bundle.keys
    later = NOW + 30 * SIGNS
    rested = authority(tmp_path / "jwt", later)
    assert len(rested.bundle.keys) == 2
    text = rested.issue(ALPHA, ["till"], later).token
    assert json.loads(base64.urlsafe_b64decode(text.split(".")[0] + "=="))["kid"] == kid


@pytest.mark.parametrize(
    "data", [b"", b"{}", b'{"keys": []}', b'{"keys": [{"since": 1, "pem": "x"}]}']
)
def test_broken_keys_are_named_and_never_replaced(tmp_path: Path, data: bytes) -> None:
    authority(tmp_path)
    (tmp_path / "keys.json").write_bytes(data)
    with pytest.raises(JwtSvidError, match="put the right file back"):
        authority(tmp_path)
    assert (tmp_path / "keys.json").read_bytes() == data


@pytest.mark.parametrize(
    ("spiffe_id", "audience", "rule"),
    [
        (ALPHA, [], "aud"),
        (ALPHA, ["till", ""], "aud"),
        (SpiffeId.parse("spiffe://other.test/alpha"), ["till"], "trust-domain"),
        (SpiffeId.parse("spiffe://demo.test"), ["till"], "trust-domain"),
    ],
)
def test_an_authority_signs_for_its_own_workloads_alone(
    tmp_path: Path, spiffe_id: SpiffeId, audience: list[str], rule: str
) -> None:
    with pytest.raises(JwtSvidError) as refused:
        authority(tmp_path).issue(spiffe_id, audience, NOW)
    assert refused.value.rule == rule


def test_an_access_token_is_no_jwt_svid(tmp_path: Path) -> None:
    """Not even one whose user calls themselves as a workload, signed by a key of the bundle."""
    issuer = Issuer.init(tmp_path / "issuer")
    text = issuer.mint(str(ALPHA), audience="till", issuer=DEFAULT_ISSUER)
    bundle = JwtBundle.from_json(DOMAIN, json.dumps(issuer.key_set).encode())
    with pytest.raises(JwtSvidError) as refused:
        verify_jwt_svid(text, "till", {str(DOMAIN): bundle}, time.time())
    assert refused.value.rule == "typ"
