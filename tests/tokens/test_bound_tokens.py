"""Tokens that are bound to the certificate of the connection that brings them (RFC 8705)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from guard.situations import thumbprint
from meshpact.interceptors.keys import FileKeys
from meshpact.interceptors.tokens import Tokens
from meshpact.testing.hosting import Kind, Workbench
from meshpact.testing.tokens import TokenIssuer
from tokens.door import ALL_SHAPES, ISSUER, KINDS, issuer_of, opened, sound, verifier

ISSUED = TokenIssuer(ISSUER)


@pytest.fixture(scope="module")
def bench() -> Iterator[Workbench]:
    with Workbench() as bench:
        yield bench


@pytest.fixture
def tokens(tmp_path: Path) -> Tokens:
    return verifier(issuer_of(FileKeys(ISSUED.write_jwks(tmp_path / "jwks.json"))))


def bound_to(bench: Workbench, workload: str) -> str:
    leaf = thumbprint(bench.client(workload).chain_pem)
    return sound(ISSUED, cnf={"x5t#S256": leaf})


@pytest.mark.parametrize("kind", KINDS)
def test_a_bound_token_works_on_the_connection_it_is_bound_to_only(
    bench: Workbench, tokens: Tokens, kind: Kind
) -> None:
    token = bound_to(bench, "caller")
    with opened(bench, kind, tokens) as door:
        for shape in ALL_SHAPES:
            assert door.refusal(token, shape) == ""
            answer = door.call(token, shape, workload="other")
            assert answer.reason == "TOKEN_BINDING_MISMATCH"
            assert answer.code is not None
            assert answer.code.name == "UNAUTHENTICATED"
            assert door.refusal(token, shape) == ""
    assert [user is not None and user.bound for user in door.seen] == [True] * 8


@pytest.mark.parametrize("kind", KINDS)
def test_another_leaf_of_the_same_workload_is_another_certificate(
    bench: Workbench, tokens: Tokens, kind: Kind
) -> None:
    token = bound_to(bench, "caller")
    rotated = bench.authority.issue("caller").chain_pem
    assert thumbprint(rotated) != thumbprint(bench.client("caller").chain_pem)
    after = sound(ISSUED, cnf={"x5t#S256": thumbprint(rotated)})
    with opened(bench, kind, tokens) as door:
        assert door.refusal(token) == ""
        assert door.refusal(after) == "TOKEN_BINDING_MISMATCH"


@pytest.mark.parametrize("kind", KINDS)
def test_a_method_may_demand_that_tokens_are_bound(
    bench: Workbench, tokens: Tokens, kind: Kind
) -> None:
    with opened(bench, kind, tokens, bound=True) as door:
        answer = door.call(sound(ISSUED))
        assert (answer.reason, "8705" in answer.message) == ("TOKEN_BINDING_MISMATCH", True)
        assert door.refusal(bound_to(bench, "caller")) == ""
        assert door.refusal(bound_to(bench, "other")) == "TOKEN_BINDING_MISMATCH"


@pytest.mark.parametrize(
    "confirmation",
    [
        {},
        {"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"},
        {"x5t#S256": ""},
        {"x5t#S256": 1},
        {"x5t": "abc"},
        "x5t#S256",
        [],
        False,
    ],
    ids=str,
)
def test_a_binding_that_is_not_understood_is_not_passed_over(
    bench: Workbench, tokens: Tokens, confirmation: object
) -> None:
    with opened(bench, "aio", tokens) as door:
        assert door.refusal(sound(ISSUED, cnf=confirmation)) == "TOKEN_BINDING_MISMATCH"


def test_a_token_bound_to_a_key_as_well_is_not_passed_over(
    bench: Workbench, tokens: Tokens
) -> None:
    leaf = thumbprint(bench.client("caller").chain_pem)
    with opened(bench, "aio", tokens) as door:
        token = sound(ISSUED, cnf={"x5t#S256": leaf, "jkt": "0ZcOCORZNYy"})
        assert door.refusal(token) == "TOKEN_BINDING_MISMATCH"
