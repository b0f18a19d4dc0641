"""Where a callee takes only tokens of its own: the user's is exchanged, once for all who wait."""

from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest

from meshpact.clients import CallError
from meshpact.clients.exchange import TokenExchange
from meshpact.clients.exchangewire import ACCESS_TOKEN, MAX_BYTES, Endpoint
from meshpact.clients.forwarding import Forwarding
from meshpact.interceptors.keys import FileKeys
from meshpact.interceptors.tokens import Issuer, Tokens
from meshpact.testing.hosting import AUDIENCE
from propagation.issuer import SECRET, ExchangingIssuer
from propagation.stage import RELAY, WARD_AUDIENCE, Stage
from relayservice import SHAPES


@pytest.fixture
def exchange(issuer: ExchangingIssuer, tmp_path: Path) -> Iterator[TokenExchange]:
    yield issuer.exchange(tmp_path)
    assert issuer.faults == []


@pytest.fixture
def running(stage: Stage, exchange: TokenExchange) -> Iterator[Stage]:
    with stage.running(Forwarding(exchange=exchange)):
        yield stage


def test_a_token_is_exchanged_for_one_that_names_the_callee(
    running: Stage, issuer: ExchangingIssuer
) -> None:
    answer = running.relay("Confide", running.token())
    assert answer.reason == ""
    assert answer.seen.user == "ursula"
    assert answer.seen.workload == running.bench.id_of(RELAY)
    assert list(answer.seen.audience) == [WARD_AUDIENCE]
    assert issuer.asked == [WARD_AUDIENCE]


def test_an_exchanged_token_is_used_again_for_its_user_alone(
    running: Stage, issuer: ExchangingIssuer
) -> None:
    ursula, otto = running.token("ursula"), running.token("otto")
    for token, user in ((ursula, "ursula"), (otto, "otto"), (ursula, "ursula"), (otto, "otto")):
        assert running.relay("Confide", token).seen.user == user
    assert issuer.asked == [WARD_AUDIENCE] * 2


def test_calls_at_once_share_one_exchange(running: Stage, issuer: ExchangingIssuer) -> None:
    issuer.gate.clear()
    token = running.token()
    with ThreadPoolExecutor(8) as pool:
        calls = [pool.submit(running.relay, "Confide", token) for _ in range(8)]
        assert issuer.arrived.wait(30)
        issuer.gate.set()
        users = {call.result().seen.user for call in calls}
    assert users == {"ursula"}
    assert issuer.asked == [WARD_AUDIENCE]


def test_a_method_without_an_audience_of_its_own_costs_no_exchange(
    running: Stage, issuer: ExchangingIssuer
) -> None:
    assert running.relay("Ask", running.token()).seen.user == "ursula"
    assert running.relay("Plain", running.token()).reason == ""
    assert issuer.asked == []


def test_a_token_that_names_the_caller_alone_is_exchanged_for_one_that_names_the_callee(
    stage: Stage, issuer: ExchangingIssuer, exchange: TokenExchange, tmp_path: Path
) -> None:
    name = issuer.issuer.name
    keys = FileKeys(issuer.issuer.write_jwks(tmp_path / "jwks.json"))
    ward = Tokens([Issuer(name, keys, frozenset({"all", "ward"}), frozenset({"ES256"}))])
    forwarding = Forwarding("ward", {name: frozenset({"all"})}, exchange)
    with stage.running(forwarding, ward_guard=stage.bench.guard(tokens=ward)):
        for audience in ([AUDIENCE, "all"], [AUDIENCE, "ward"]):
            assert stage.relay("Ask", stage.token(audience=audience)).seen.user == "ursula"
        assert issuer.asked == []
        token = stage.token()
        for method in SHAPES:
            answer = stage.relay(method, token)
            assert list(answer.seen.audience) == ["ward"]
    assert issuer.asked == ["ward"]


def test_a_call_that_runs_out_of_time_while_it_waits_is_not_sent(
    running: Stage, issuer: ExchangingIssuer
) -> None:
    issuer.gate.clear()
    with pytest.raises(CallError) as caught:
        running.relay("Confide", running.token(), timeout=0.4, raises=True)
    assert caught.value.code is grpc.StatusCode.DEADLINE_EXCEEDED
    assert running.reached == []


def test_a_refused_exchange_fails_the_call_and_is_not_tried_for_each_call(
    running: Stage, issuer: ExchangingIssuer
) -> None:
    issuer.answer = (400, json.dumps({"error": "invalid_target"}).encode())
    token = running.token()
    for _ in range(3):
        answer = running.relay("Confide", token)
        assert answer.reason == "TOKEN_INVALID"
        assert "invalid_target" in answer.message
    assert issuer.asked == [WARD_AUDIENCE]
    assert running.reached == []


def token_answer(**overrides: object) -> bytes:
    answer: dict[str, object] = {
        "access_token": "a.b.c",
        "issued_token_type": ACCESS_TOKEN,
        "token_type": "Bearer",
        "expires_in": 600,
    }
    return json.dumps(answer | overrides).encode()


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (500, b"", "answered 500"),
        (307, b"", "answered 307"),
        (200, b"<html>", "no token response"),
        (200, b"[" * 50_000, "no token response"),
        (200, b"x" * (MAX_BYTES + 1), "more than"),
        (200, token_answer(token_type="DPoP"), "bearer"),
        (200, token_answer(access_token=""), "bearer"),
        (200, token_answer(access_token="x" * 8193), "bearer"),
        (200, token_answer(access_token="a\nb"), "bearer"),
        (200, token_answer(access_token=7), "no token response"),
        (
            200,
            token_answer(issued_token_type="urn:ietf:params:oauth:token-type:id_token"),
            "bearer",
        ),
    ],
)
def test_an_answer_that_is_no_token_fails_the_call_before_the_wire(
    running: Stage, issuer: ExchangingIssuer, status: int, body: bytes, words: str
) -> None:
    issuer.answer = (status, body)
    answer = running.relay("Confide", running.token())
    assert answer.reason == "KEYS_UNAVAILABLE"
    assert words in answer.message
    assert running.reached == []
    issuer.answer = None
    assert running.relay("Confide", running.token()).seen.user == "ursula"


def test_an_error_text_of_the_issuer_is_not_repeated(
    running: Stage, issuer: ExchangingIssuer
) -> None:
    issuer.answer = (400, json.dumps({"error": "the secret is 42"}).encode())
    answer = running.relay("Confide", running.token())
    assert "refuses" in answer.message
    assert "42" not in answer.message


def test_an_issuer_that_cannot_be_reached_is_unavailable_to_the_caller(
    stage: Stage, issuer: ExchangingIssuer, tmp_path: Path
) -> None:
    gone = TokenExchange({issuer.issuer.name: Endpoint("http://127.0.0.1:1/token", "mesh")})
    with stage.running(Forwarding(exchange=gone)), pytest.raises(CallError) as caught:
        stage.relay("Confide", stage.token(), raises=True)
    assert caught.value.code is grpc.StatusCode.UNAVAILABLE


def test_without_its_secret_nothing_is_asked(stage: Stage, issuer: ExchangingIssuer) -> None:
    missing = Endpoint(issuer.url, "mesh", Path("/nowhere/secret"))
    exchange = TokenExchange({issuer.issuer.name: missing})
    with stage.running(Forwarding(exchange=exchange)):
        answer = stage.relay("Confide", stage.token())
    assert "/nowhere/secret" in answer.message
    assert issuer.asked == []


@pytest.mark.parametrize(
    "url", ["http://issuer.example/token", "ftp://127.0.0.1/", "127.0.0.1:80", ""]
)
def test_tokens_are_sent_to_no_place_where_they_can_be_read(url: str) -> None:
    with pytest.raises(ValueError, match="allowed are https"):
        Endpoint(url)


def test_secrets_are_not_shown(tmp_path: Path, issuer: ExchangingIssuer) -> None:
    exchange = issuer.exchange(tmp_path)
    assert SECRET not in repr(vars(exchange))


@pytest.mark.parametrize("answer", [None, (400, b'{"error":"invalid_grant"}'), (500, b"no")])
def test_neither_log_nor_error_has_a_token_or_the_secret(
    running: Stage,
    issuer: ExchangingIssuer,
    answer: tuple[int, bytes] | None,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    issuer.answer = answer
    token = running.token()
    told = str(running.relay("Confide", token))
    with contextlib.suppress(CallError):
        running.relay("Confide", token, raises=True)
    said = caplog.text + told
    assert SECRET not in said
    assert token not in said
    assert token.rpartition(".")[2] not in said
