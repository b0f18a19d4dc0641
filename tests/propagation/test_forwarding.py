"""Whom a service calls on for: the end user of its own call, and only where one is taken."""

from __future__ import annotations

import time
from pathlib import Path

import grpc
import pytest

from meshpact.clients import CallError
from meshpact.interceptors.guard import Guard
from meshpact.interceptors.keys import FileKeys
from meshpact.interceptors.tokens import Issuer, Tokens
from meshpact.testing.hosting import AUDIENCE
from propagation.stage import RELAY, Stage
from relayservice import SHAPES


@pytest.mark.parametrize("method", SHAPES)
def test_the_end_user_is_passed_on_in_every_shape_of_call(stage: Stage, method: str) -> None:
    with stage.running():
        answer = stage.relay(method, stage.token())
    assert (answer.seen.user, answer.seen.workload) == ("ursula", stage.bench.id_of(RELAY))


def test_the_end_user_of_a_stream_is_passed_on_from_each_of_its_messages(stage: Stage) -> None:
    with stage.running():
        answers = stage.relay_many(["Plain", *SHAPES, "Seal"], stage.token())
        unknown = stage.relay_many(["Greet", "Ask"])
    assert [answer.seen.user for answer in answers] == ["", *["ursula"] * 4, ""]
    assert answers[-1].reason == "TOKEN_BINDING_MISMATCH"
    assert [answer.reason for answer in unknown] == ["", "TOKEN_MISSING"]


def test_a_method_that_takes_no_end_user_is_never_sent_a_token(stage: Stage) -> None:
    with stage.running():
        answer = stage.relay("Plain", stage.token())
    assert answer.reason == ""
    assert not answer.seen.token_sent


def test_a_method_that_may_take_an_end_user_gets_the_one_there_is(stage: Stage) -> None:
    with stage.running():
        assert stage.relay("Greet", stage.token()).seen.user == "ursula"
        assert not stage.relay("Greet").seen.token_sent


def test_without_an_end_user_a_method_that_demands_one_refuses(stage: Stage) -> None:
    with stage.running():
        assert stage.relay("Ask").reason == "TOKEN_MISSING"


def test_a_token_that_the_handler_gives_wins(stage: Stage) -> None:
    with stage.running():
        other = stage.token("otto")
        assert stage.relay("Ask", stage.token(), explicit=other).seen.user == "otto"
        assert stage.relay("by metadata", stage.token(), explicit=other).seen.user == "otto"


def test_a_bound_token_stays_where_it_came(stage: Stage) -> None:
    with stage.running():
        token = stage.bound_token()
        greeted = stage.relay("Greet", token)
        asked = stage.relay("Ask", token)
    assert not greeted.seen.token_sent
    assert asked.reason == "TOKEN_BINDING_MISMATCH"
    assert "RFC 8705" in asked.message
    assert stage.reached == ["Greet"]


def test_a_method_that_demands_a_bound_token_is_not_called_with_a_passed_on_one(
    stage: Stage,
) -> None:
    with stage.running():
        answer = stage.relay("Seal", stage.token())
    assert (answer.reason, stage.reached) == ("TOKEN_BINDING_MISMATCH", [])
    assert "not sent" in answer.message


def guard_with_clock(stage: Stage, folder: Path, seconds: float) -> Guard:
    """A guard whose clock is so many seconds ahead."""
    keys = FileKeys(stage.bench.issuer.write_jwks(folder / "jwks.json"))
    issuer = Issuer(stage.bench.issuer.name, keys, frozenset({AUDIENCE}), frozenset({"ES256"}))
    return stage.bench.guard(tokens=Tokens([issuer], wall=lambda: time.time() + seconds))


def test_a_token_that_expires_while_its_call_is_served_is_the_callers_to_refresh(
    stage: Stage, tmp_path: Path
) -> None:
    behind = guard_with_clock(stage, tmp_path, -4.0)
    with stage.running(ward_guard=behind), pytest.raises(CallError) as caught:
        stage.relay("Ask", stage.token(lifetime=2.0), late=True, raises=True)
    assert caught.value.code is grpc.StatusCode.UNAUTHENTICATED
    assert caught.value.reason == "TOKEN_EXPIRED"
    assert stage.reached == []


def test_a_token_that_the_callees_clock_finds_expired_is_the_callers_to_refresh(
    stage: Stage, tmp_path: Path
) -> None:
    ahead = guard_with_clock(stage, tmp_path, 30.0)
    with stage.running(ward_guard=ahead), pytest.raises(CallError) as caught:
        stage.relay("Ask", stage.token(lifetime=20.0), raises=True)
    assert caught.value.reason == "TOKEN_EXPIRED"


def test_a_token_that_another_hands_over_expired_is_not_the_callers_to_refresh(
    stage: Stage,
) -> None:
    expired = stage.token("otto", lifetime=-1.0)
    with stage.running(), pytest.raises(CallError) as caught:
        stage.relay("Ask", stage.token(), explicit=expired, raises=True)
    assert caught.value.code is grpc.StatusCode.INTERNAL


def test_a_token_for_another_audience_is_not_sent(stage: Stage) -> None:
    with stage.running():
        answer = stage.relay("Confide", stage.token())
    assert answer.reason == "TOKEN_INVALID"
    assert "https://ward.demo.test" in answer.message
    assert "token_endpoint" in answer.message
    assert stage.reached == []


def test_a_token_that_names_the_callee_already_is_sent_as_it_is(stage: Stage) -> None:
    with stage.running():
        token = stage.token(audience=[AUDIENCE, "https://ward.demo.test"])
        assert stage.relay("Confide", token).seen.user == "ursula"
