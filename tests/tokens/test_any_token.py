"""Whatever a token holds, it is refused with a reason, unless it is the sound one."""

from __future__ import annotations

import base64
import json
import string
import time
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshpact.interceptors import errors, signature
from meshpact.interceptors.errors import StatusError
from meshpact.interceptors.keyring import KeysError, parse_keys
from meshpact.interceptors.keys import FileKeys
from meshpact.interceptors.signature import SignatureFault
from meshpact.interceptors.strictjson import MAX_DEPTH, parse_object
from meshpact.interceptors.tokens import Stale, Tokens
from meshpact.testing.tokens import TokenIssuer
from tokens.door import ISSUER, issuer_of, sound, verifier

ISSUED: Final = TokenIssuer(ISSUER)
TOKEN: Final = sound(ISSUED, exp=int(time.time()) + 86_400)
REASONS: Final = {reason.name for reason in (errors.TOKEN_INVALID, errors.TOKEN_EXPIRED)} | {
    errors.TOKEN_BINDING_MISMATCH.name
}

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=12,
)
NAMES = st.sampled_from(
    ["iss", "sub", "aud", "exp", "nbf", "iat", "jti", "client_id", "scope", "groups", "cnf", "azp"]
)
HEADER_NAMES = st.sampled_from(["alg", "typ", "kid", "crit", "b64", "jwk", "jku", "zip", "enc"])


@pytest.fixture(scope="module")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> Tokens:
    path: Path = tmp_path_factory.mktemp("keys") / "jwks.json"
    return verifier(issuer_of(FileKeys(ISSUED.write_jwks(path))))


def judged(tokens: Tokens, header: str) -> str:
    """The reason of a refusal, "" for a token that passes."""
    try:
        tokens.find(header, fresh=True)
    except StatusError as refusal:
        assert refusal.domain == errors.DOMAIN
        return refusal.reason
    return ""


@given(
    text=st.text(max_size=200) | st.text(string.ascii_letters + string.digits + "-_.=", max_size=99)
)
def test_any_text_is_refused(tokens: Tokens, text: str) -> None:
    assert judged(tokens, f"Bearer {text}") == "TOKEN_INVALID"
    assert judged(tokens, text) == "TOKEN_INVALID"


@given(position=st.integers(0, len(TOKEN) - 1), character=st.characters(codec="ascii"))
def test_the_sound_token_with_any_character_changed_is_refused(
    tokens: Tokens, position: int, character: str
) -> None:
    changed = TOKEN[:position] + character + TOKEN[position + 1 :]
    assert judged(tokens, f"Bearer {changed}") == (
        "" if changed.strip(" ") == TOKEN else "TOKEN_INVALID"
    )


@given(start=st.integers(0, len(TOKEN)), length=st.integers(1, 50), what=st.binary(max_size=20))
def test_the_sound_token_with_any_part_exchanged_is_refused(
    tokens: Tokens, start: int, length: int, what: bytes
) -> None:
    put = base64.urlsafe_b64encode(what).decode()
    changed = TOKEN[:start] + put + TOKEN[start + length :]
    assert judged(tokens, f"Bearer {changed}") == ("" if changed == TOKEN else "TOKEN_INVALID")


@given(
    over=st.dictionaries(NAMES, VALUES, max_size=3),
    header=st.dictionaries(HEADER_NAMES, VALUES, max_size=2),
)
def test_any_claims_that_the_issuer_signs_are_accepted_or_refused_with_a_reason(
    tokens: Tokens, over: dict[str, Any], header: dict[str, Any]
) -> None:
    reason = judged(
        tokens, f"Bearer {ISSUED.mint('alice', audience=['mesh'], claims=over, header=header)}"
    )
    assert reason in REASONS | {""}
    if header.keys() & {"crit", "b64"} and any(
        header.get(name) is not None for name in ("crit", "b64")
    ):
        assert reason == "TOKEN_INVALID"


@given(header=st.binary(max_size=60), payload=st.binary(max_size=60))
def test_any_bytes_that_the_issuer_signs_are_refused(
    tokens: Tokens, header: bytes, payload: bytes
) -> None:
    assert judged(tokens, f"Bearer {ISSUED.sign(header, payload)}") == "TOKEN_INVALID"
    sound_header = b'{"alg":"ES256","typ":"at+jwt","kid":"test-1"}'
    assert judged(tokens, f"Bearer {ISSUED.sign(sound_header, payload)}") == "TOKEN_INVALID"


@given(value=st.dictionaries(st.text(max_size=8), VALUES, max_size=5))
def test_strict_json_reads_what_json_writes(value: dict[str, Any]) -> None:
    assert parse_object(json.dumps(value).encode()) == value
    assert parse_object(json.dumps(value, ensure_ascii=False, indent=1).encode()) == value


@given(data=st.binary(max_size=100))
def test_strict_json_takes_any_bytes_or_says_why_not(data: bytes) -> None:
    try:
        found = parse_object(data)
    except ValueError as error:
        assert str(error)
        return
    assert found == json.loads(data.decode("utf-8"))


@given(depth=st.integers(1, 3000), opening=st.sampled_from(["[", '{"a":']))
def test_strict_json_goes_so_deep_and_no_deeper(depth: int, opening: str) -> None:
    closing = "]" if opening == "[" else "}"
    text = '{"x":' + opening * depth + "1" + closing * depth + "}"
    if depth + 1 < MAX_DEPTH:
        assert "x" in parse_object(text.encode())
    elif depth + 1 > MAX_DEPTH:
        with pytest.raises(ValueError, match=f"more than {MAX_DEPTH} deep"):
            parse_object(text.encode())


@given(data=st.binary(max_size=200) | VALUES.map(lambda v: json.dumps({"keys": v}).encode()))
def test_any_key_set_is_read_or_refused_with_a_reason(data: bytes) -> None:
    try:
        ring = parse_keys(data)
    except KeysError as error:
        assert str(error)
        return
    assert ring.fitting("x", "ES256") == []


@given(
    member=st.sampled_from(["kty", "crv", "x", "y", "use", "key_ops", "alg", "kid"]), value=VALUES
)
def test_a_key_with_any_member_exchanged_is_read_or_left_out(member: str, value: object) -> None:
    further: Any = {**ISSUED.jwk, member: value}
    ring = parse_keys(json.dumps({"keys": [ISSUED.jwk, further]}).encode())
    assert ring.has("test-1")


@given(key_id=st.text(max_size=300))
def test_a_key_id_that_names_a_path_leads_to_no_fetch(tmp_path_factory: Any, key_id: str) -> None:
    header = json.dumps({"alg": "ES256", "kid": key_id}).encode()
    try:
        compact = signature.parse(ISSUED.sign(header, b"{}"))
    except SignatureFault:
        return
    assert compact.key_id == key_id
    if ".." in key_id.split("/") or key_id.startswith(("/", "~", "\\")):
        assert compact.names_a_path


def test_a_token_whose_key_is_unknown_asks_for_a_refresh_once(tmp_path: Path) -> None:
    path = ISSUED.write_jwks(tmp_path / "jwks.json")
    keys = FileKeys(path)
    tokens = verifier(issuer_of(keys))
    header = f"Bearer {sound(TokenIssuer(ISSUER, key_id='new'))}"
    assert judged(tokens, header) == "TOKEN_INVALID"
    path.write_text(ISSUED.jwks + " ", encoding="utf-8")
    with pytest.raises(Stale) as stale:
        tokens.find(header, fresh=False)
    assert stale.value.source is keys
