"""Signed tokens that a service reads back: of the right type, and signed by one of its keys."""

from __future__ import annotations

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet

from meshpact.servers.signedtokens import MAX_TOKEN, read_signed

KEY = ECKey.generate_key("P-256", auto_kid=True)
OTHER = ECKey.generate_key("P-256", auto_kid=True)
KEYS = KeySet([KEY, OTHER]).keys
CLAIMS = {"sub": "ann", "scope": "read"}


def token(key: ECKey = KEY, *, kind: str = "at+jwt", key_id: str | None = None) -> str:
    header = {"typ": kind, "alg": "ES256", "kid": key.kid if key_id is None else key_id}
    return jwt.encode(header, CLAIMS, key, algorithms=["ES256"])


def read(text: str) -> dict[str, object]:
    return read_signed(text, KEYS, kind="at+jwt", algorithms=("ES256",))


def test_a_token_of_any_of_the_keys_is_read() -> None:
    assert read(token()) == read(token(OTHER)) == CLAIMS


REFUSED = {
    "type": (token(kind="JWT"), "of another type"),
    "key": (token(key_id=OTHER.kid), "signature does not hold"),
    "stranger": (token(ECKey.generate_key("P-256", auto_kid=True)), "not for its algorithm"),
    "no key ID": (token(key_id=""), "not for its algorithm"),
    "padding": (token() + "=", "not a signed JWT"),
    "signature": (token()[:-4] + "AAAA", "signature does not hold"),
    "length": ("a" * (MAX_TOKEN + 1), "longer than"),
    "empty": ("", "not a signed JWT"),
}


@pytest.mark.parametrize(("text", "words"), REFUSED.values(), ids=REFUSED)
def test_what_is_no_token_of_the_keys_is_refused_without_a_word_of_it(
    text: str, words: str
) -> None:
    with pytest.raises(ValueError, match=words) as refused:
        read(text)
    assert "ann" not in str(refused.value)


def test_an_algorithm_that_is_not_asked_for_is_refused() -> None:
    with pytest.raises(ValueError, match="algorithm is not allowed"):
        read_signed(token(), KEYS, kind="at+jwt", algorithms=("ES384",))
