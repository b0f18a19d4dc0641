"""What an access token must be (RFC 9068): each rule broken alone is refused, on a real server."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from meshpact.interceptors.keys import FileKeys
from meshpact.testing.hosting import AUDIENCE, Kind, Workbench
from meshpact.testing.tokens import TokenIssuer, key_set
from tokens.door import ALL_SHAPES, ISSUER, KINDS, OWN, Door, issuer_of, opened, sound, verifier

ISSUERS = {
    algorithm: TokenIssuer(ISSUER, key_id=algorithm, algorithm=algorithm)
    for algorithm in ("ES256", "ES384", "ES512", "RS256", "PS256", "Ed25519", "EdDSA")
}
ES256 = ISSUERS["ES256"]
PLAIN = TokenIssuer("https://plain.test.example", key_id="plain")
CUSTOM = TokenIssuer("https://custom.test.example", key_id="custom")
NOW = int(time.time())


@pytest.fixture(scope="module")
def bench() -> Iterator[Workbench]:
    with Workbench() as bench:
        yield bench


@pytest.fixture(scope="module")
def doors(
    bench: Workbench, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[Kind], Door]]:
    """One server of each kind that knows three issuers."""
    folder = tmp_path_factory.mktemp("keys")
    files: dict[str, Path] = {}
    for name, issuers in (
        ("main", tuple(ISSUERS.values())),
        ("plain", (PLAIN,)),
        ("custom", (CUSTOM,)),
    ):
        files[name] = folder / f"{name}.json"
        files[name].write_text(key_set(*issuers), encoding="utf-8")
    running: dict[Kind, Door] = {}
    with contextlib.ExitStack() as stack:

        def at(kind: Kind) -> Door:
            if kind not in running:
                tokens = verifier(
                    issuer_of(FileKeys(files["main"]), algorithms=tuple(ISSUERS)),
                    issuer_of(
                        FileKeys(files["plain"]), PLAIN.name, token_type="JWT", client_id="the-mesh"
                    ),
                    issuer_of(FileKeys(files["custom"]), CUSTOM.name, groups_claim="https://g"),
                )
                running[kind] = stack.enter_context(opened(bench, kind, tokens))
            return running[kind]

        yield at


@pytest.fixture(params=KINDS)
def door(request: pytest.FixtureRequest, doors: Callable[[Kind], Door]) -> Door:
    found = doors(request.param)
    found.seen.clear()
    return found


def plain(**claims: object) -> str:
    header = {"typ": claims.pop("typ", "JWT")}
    return PLAIN.mint("alice", audience=[AUDIENCE], claims=claims, header=header)


@pytest.mark.parametrize("shape", ALL_SHAPES)
def test_a_sound_token_names_the_user_on_every_shape(door: Door, shape: str) -> None:
    token = ES256.mint("alice", audience=[AUDIENCE, "x"], scopes=["a", "b:c"], groups=["staff"])
    assert door.refusal(token, shape) == ""
    [user] = door.seen
    assert user is not None
    assert (user.issuer, user.subject, user.bound) == (ISSUER, "alice", False)
    assert user.scopes == {"a", "b:c"}
    assert user.groups == {"staff"}
    assert user.audience == {AUDIENCE, "x"}
    assert NOW < user.expires < NOW + 1000


@pytest.mark.parametrize("shape", ALL_SHAPES)
def test_a_forged_token_is_refused_on_every_shape(door: Door, shape: str) -> None:
    forged = TokenIssuer(ISSUER, key_id="ES256")
    answer = door.call(sound(forged), shape)
    assert (answer.reason, answer.code and answer.code.name) == ("TOKEN_INVALID", "UNAUTHENTICATED")
    assert answer.messages == ()
    assert door.seen == []


@pytest.mark.parametrize("algorithm", ISSUERS)
def test_each_asymmetric_algorithm_works_with_its_own_kind_of_key(
    door: Door, algorithm: str
) -> None:
    assert door.refusal(sound(ISSUERS[algorithm])) == ""


@pytest.mark.parametrize("typ", ["at+jwt", "AT+JWT", "application/at+jwt"])
def test_both_spellings_of_the_type_pass(door: Door, typ: str) -> None:
    assert door.refusal(ES256.mint("a", audience=[AUDIENCE], header={"typ": typ})) == ""


@pytest.mark.parametrize("typ", [None, "JWT", "jwt", "at+jwt ", "dpop+jwt", "JOSE", 1, ["at+jwt"]])
def test_another_type_is_refused(door: Door, typ: object) -> None:
    token = ES256.mint("a", audience=[AUDIENCE], header={"typ": typ})
    assert door.refusal(token) == "TOKEN_INVALID"


@pytest.mark.parametrize("claim", ["iss", "exp", "aud", "sub", "client_id", "iat", "jti"])
@pytest.mark.parametrize("value", [None, "", [], {}, True, [1]])
def test_a_required_claim_that_is_missing_or_unsound_is_refused(
    door: Door, claim: str, value: object
) -> None:
    assert door.refusal(sound(ES256, **{claim: value})) == "TOKEN_INVALID"


@pytest.mark.parametrize(
    "claims",
    [
        {"scope": ["demo.read"]},
        {"scope": 'demo"read'},
        {"scope": "a\tb"},
        {"scope": 1},
        {"aud": [AUDIENCE, 1]},
        {"aud": "elsewhere"},
        {"aud": ["mes", "mesh2"]},
        {"iss": ISSUER + "/"},
        {"iss": [ISSUER]},
        {"groups": "staff,admins", "sub": "a\nb"},
        {"groups": ["staff", 1]},
        {"groups": {"staff": True}},
        {"sub": "a" * 1025},
        {"sub": "\x00"},
        {"exp": "2099-01-01"},
        {"exp": 1e308 * 10},
        {"nbf": NOW + 3600},
        {"nbf": "now"},
        {"iat": NOW + 3600},
        {"exp": 10**400},
    ],
    ids=", ".join,
)
def test_a_claim_that_says_something_else_is_refused(door: Door, claims: dict[str, Any]) -> None:
    assert door.refusal(sound(ES256, **claims)) == "TOKEN_INVALID"


@pytest.mark.parametrize(
    "claims", [{"nbf": NOW - 5}, {"nbf": NOW + 2}, {"scope": None}], ids=", ".join
)
def test_clocks_may_differ_a_little_and_scopes_may_be_absent(
    door: Door, claims: dict[str, Any]
) -> None:
    assert door.refusal(sound(ES256, **claims)) == ""


def test_an_expired_token_is_told_from_an_invalid_one(door: Door) -> None:
    answer = door.call(ES256.mint("alice", audience=[AUDIENCE], lifetime=-1))
    assert (answer.reason, answer.code and answer.code.name) == ("TOKEN_EXPIRED", "UNAUTHENTICATED")


def test_a_token_for_the_service_itself_passes(door: Door) -> None:
    assert door.refusal(ES256.mint("alice", audience=[OWN])) == ""


def test_a_method_may_demand_one_audience(bench: Workbench, tmp_path: Path) -> None:
    keys = FileKeys(ES256.write_jwks(tmp_path / "jwks.json"))
    with opened(bench, "aio", verifier(issuer_of(keys)), audience=OWN) as door:
        assert door.refusal(ES256.mint("alice", audience=[AUDIENCE])) == "TOKEN_INVALID"
        assert door.refusal(ES256.mint("alice", audience=[AUDIENCE, OWN])) == ""


@pytest.mark.parametrize("kind", KINDS)
def test_a_missing_scope_is_named(bench: Workbench, tmp_path: Path, kind: Kind) -> None:
    keys = FileKeys(ES256.write_jwks(tmp_path / "jwks.json"))
    with opened(bench, kind, verifier(issuer_of(keys)), scopes=["demo.read", "demo.write"]) as door:
        answer = door.call(sound(ES256))
    assert (answer.reason, answer.code and answer.code.name) == (
        "SCOPE_MISSING",
        "PERMISSION_DENIED",
    )
    assert answer.error_info is not None
    assert dict(answer.error_info.metadata) == {"scopes": "demo.write"}


@pytest.mark.parametrize("kind", KINDS)
def test_where_a_user_is_optional_only_absence_passes(
    bench: Workbench, tmp_path: Path, kind: Kind
) -> None:
    keys = FileKeys(ES256.write_jwks(tmp_path / "jwks.json"))
    with opened(bench, kind, verifier(issuer_of(keys)), optional=True) as door:
        assert [door.refusal(None), door.refusal(None)] == ["", ""]
        assert door.refusal(sound(ES256)) == ""
        assert door.refusal("x") == "TOKEN_INVALID"
        assert door.refusal(None) == ""
    assert [user is not None for user in door.seen] == [False, False, True, False]


@pytest.mark.parametrize(
    ("header", "algorithm"),
    [
        ({"alg": "none"}, "ES256"),
        ({"alg": "None"}, "ES256"),
        ({"alg": "HS256"}, "ES256"),
        ({"alg": "RS256"}, "ES256"),
        ({"alg": "ES384"}, "ES256"),
        ({"alg": "PS256"}, "RS256"),
        ({"alg": "RS256"}, "PS256"),
        ({"alg": "EdDSA"}, "Ed25519"),
        ({"alg": "RS384"}, "RS256"),
        ({"alg": ["ES256"]}, "ES256"),
        ({"alg": None}, "ES256"),
        ({"kid": "RS256"}, "ES256"),
        ({"kid": "unknown"}, "ES256"),
        ({"kid": None}, "ES256"),
        ({"kid": 1}, "ES256"),
        ({"kid": "../../etc/passwd"}, "ES256"),
        ({"kid": "/etc/passwd"}, "ES256"),
        ({"kid": "https://evil.example/key"}, "ES256"),
        ({"kid": "a\x00b"}, "ES256"),
        ({"kid": "k" * 257}, "ES256"),
        ({"crit": ["exp"]}, "ES256"),
        ({"crit": []}, "ES256"),
        ({"b64": False}, "ES256"),
        ({"b64": True}, "ES256"),
        ({"x": "h" * 2048}, "ES256"),
    ],
    ids=str,
)
def test_a_header_that_asks_for_something_else_is_refused(
    door: Door, header: dict[str, object], algorithm: str
) -> None:
    token = ISSUERS[algorithm].mint("alice", audience=[AUDIENCE], header=header)
    assert door.refusal(token) == "TOKEN_INVALID"


@pytest.mark.parametrize("member", ["jwk", "jku", "x5u", "x5c"])
def test_a_key_that_a_token_brings_itself_counts_for_nothing(door: Door, member: str) -> None:
    forger = TokenIssuer(ISSUER, key_id="ES256")
    value: object = forger.jwk if member == "jwk" else "https://evil.example/keys"
    token = forger.mint("alice", audience=[AUDIENCE], header={member: value})
    assert door.refusal(token) == "TOKEN_INVALID"


def _claims(**over: object) -> bytes:
    body = {"iss": ISSUER, "sub": "a", "aud": AUDIENCE, "client_id": "c", "jti": "j", "iat": NOW}
    return json.dumps({**body, "exp": NOW + 600, **over}).encode()


_HEADER = b'{"alg":"ES256","typ":"at+jwt","kid":"ES256"}'


@pytest.mark.parametrize(
    ("header", "payload"),
    [
        (b'{"alg":"ES256","typ":"at+jwt","kid":"x","kid":"ES256"}', _claims()),
        (_HEADER, _claims()[:-1] + b',"sub":"b"}'),
        (_HEADER, _claims()[:-1] + b',"x":{"y":[{"z":1,"z":2}]}}'),
        (_HEADER, _claims()[:-1] + b',"x":' + b"[" * 17 + b"]" * 17 + b"}"),
        (_HEADER, _claims()[:-1] + b',"x":' + b"[" * 2500 + b"]" * 2500 + b"}"),
        (_HEADER, _claims()[:-1] + b',"x":NaN}'),
        (_HEADER, _claims()[:-1] + b',"x":1e999}'),
        (_HEADER, _claims()[:-1] + b',"x":"\\ud800"}'),
        (_HEADER, _claims()[:-1] + b',"x":"\xff"}'),
        (_HEADER, b"\xef\xbb\xbf" + _claims()),
        (_HEADER, _claims().decode().encode("utf-16")),
        (_HEADER, b"[" + _claims() + b"]"),
        (_HEADER, _claims() + _claims()),
        (_HEADER, b'"text"'),
        (_HEADER, b""),
        (b"", _claims()),
        (b"null", _claims()),
    ],
    ids=range(17),
)
def test_json_that_reads_in_two_ways_is_refused_though_it_is_signed(
    door: Door, header: bytes, payload: bytes
) -> None:
    assert door.refusal(ES256.sign(_HEADER, _claims())) == ""
    assert door.refusal(ES256.sign(header, payload)) == "TOKEN_INVALID"


def test_a_token_that_is_too_long_is_refused(door: Door) -> None:
    token = sound(ES256, padding="p" * 8000)
    assert 8192 < len(token) < 16000
    answer = door.call(token)
    assert answer.reason == "TOKEN_INVALID"
    assert "8192" in answer.message


@pytest.mark.parametrize("change", ["", "a.b", "a.b.c.d", "..", "a..b", "é", "{}", "=", "a b"])
def test_what_is_no_token_is_refused(door: Door, change: str) -> None:
    assert door.refusal(change) in ("TOKEN_INVALID", "METADATA_INVALID")


@pytest.mark.parametrize("part", [0, 1, 2])
def test_a_token_with_one_character_changed_is_refused(door: Door, part: int) -> None:
    token = sound(ES256)
    assert door.refusal(token) == ""
    parts = token.split(".")
    middle = len(parts[part]) // 2
    other = "A" if parts[part][middle] != "A" else "B"
    parts[part] = parts[part][:middle] + other + parts[part][middle + 1 :]
    assert door.refusal(".".join(parts)) == "TOKEN_INVALID"


@pytest.mark.parametrize("typ", ["JWT", None, "application/jwt", "at+jwt"])
def test_where_plain_jwts_are_spelled_out_they_pass(door: Door, typ: object) -> None:
    assert door.refusal(plain(typ=typ)) == ""
    assert door.refusal(plain(typ=typ, client_id=None, azp="spa")) == ""


@pytest.mark.parametrize(
    "claims",
    [
        {"nonce": "n"},
        {"at_hash": "h"},
        {"aud": [AUDIENCE, "the-mesh"]},
        {"aud": [AUDIENCE, "tests"]},
        {"aud": [AUDIENCE, "spa"], "client_id": None, "azp": "spa"},
        {"client_id": None},
        {"sub": "spiffe://test.example/caller"},
        {"typ": "logout+jwt"},
        {"typ": "JOSE"},
    ],
    ids=str,
)
def test_even_there_no_id_token_and_no_jwt_svid_passes(
    door: Door, claims: dict[str, object]
) -> None:
    assert door.refusal(plain(**claims)) == "TOKEN_INVALID"


def test_groups_come_from_the_claim_that_the_issuer_uses(door: Door) -> None:
    token = CUSTOM.mint("a", audience=[AUDIENCE], groups=["no"], claims={"https://g": ["yes"]})
    assert door.refusal(token) == ""
    [user] = door.seen
    assert user is not None
    assert user.groups == {"yes"}


def test_an_issuers_key_proves_nothing_about_another_issuer(door: Door) -> None:
    assert door.refusal(sound(CUSTOM, iss=ISSUER)) == "TOKEN_INVALID"
    assert door.refusal(sound(ES256, iss=CUSTOM.name)) == "TOKEN_INVALID"


def test_a_refusal_holds_nothing_of_the_token(door: Door) -> None:
    token = sound(ES256, sub="s3cret-subject", jti="", groups=["s3cret-group"])
    answer = door.call(token)
    assert answer.reason == "TOKEN_INVALID"
    assert answer.status is not None
    told = str(answer.status) + answer.message
    assert "s3cret" not in told
    assert not any(part in told for part in token.split("."))


@pytest.mark.parametrize("algorithm", ["none", "None", "HS256", "hs512"])
def test_an_issuer_cannot_be_configured_with_an_algorithm_that_proves_nothing(
    algorithm: str,
) -> None:
    with pytest.raises(ValueError, match="no signature by a private key"):
        issuer_of(None, algorithms=[algorithm])
