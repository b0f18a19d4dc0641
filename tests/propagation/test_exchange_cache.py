"""How long an exchanged token is used, on a clock that the test moves."""

from __future__ import annotations

import time
from concurrent.futures import Future
from pathlib import Path

import pytest

from meshpact.clients import exchange as module
from meshpact.clients.exchange import TokenExchange
from meshpact.interceptors.call import EndUser
from meshpact.testing.tokens import TokenIssuer
from propagation.issuer import ExchangingIssuer


class Clock:
    """Seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def exchange(issuer: ExchangingIssuer, clock: Clock, tmp_path: Path) -> TokenExchange:
    return issuer.exchange(tmp_path, clock=clock)


def user(issuer: TokenIssuer, lifetime: float = 600.0) -> EndUser:
    return EndUser(
        issuer=issuer.name,
        subject="ursula",
        audience=frozenset({"mesh"}),
        scopes=frozenset(),
        groups=frozenset(),
        expires=time.time() + lifetime,
    )


def have(exchange: TokenExchange, who: EndUser, token: str, audience: str = "ward") -> str:
    found = exchange.exchanged(who, token, audience)
    outcome = found.result(30) if isinstance(found, Future) else found
    assert isinstance(outcome, str)
    return outcome


def test_it_is_exchanged_anew_shortly_before_it_expires(
    issuer: ExchangingIssuer, exchange: TokenExchange, clock: Clock
) -> None:
    issuer.expires_in = 60
    who, token = user(issuer.issuer), issuer.issuer.mint("ursula", audience=["mesh"], scopes=["a"])
    first = have(exchange, who, token)
    clock.now += 49
    assert have(exchange, who, token) == first
    assert len(issuer.asked) == 1
    clock.now += 2
    have(exchange, who, token)
    assert len(issuer.asked) == 2


def test_one_that_lives_shortly_is_used_for_half_its_life(
    issuer: ExchangingIssuer, exchange: TokenExchange, clock: Clock
) -> None:
    issuer.expires_in = 4
    who, token = user(issuer.issuer), issuer.issuer.mint("ursula", audience=["mesh"], scopes=["a"])
    have(exchange, who, token)
    clock.now += 1.9
    have(exchange, who, token)
    assert len(issuer.asked) == 1
    clock.now += 0.2
    have(exchange, who, token)
    assert len(issuer.asked) == 2


def test_without_a_word_of_the_issuer_the_users_own_token_says_how_long(
    issuer: ExchangingIssuer, exchange: TokenExchange, clock: Clock
) -> None:
    issuer.expires_in = None
    who = user(issuer.issuer, 100.0)
    token = issuer.issuer.mint("ursula", audience=["mesh"], scopes=["a"])
    have(exchange, who, token)
    clock.now += 80
    have(exchange, who, token)
    assert len(issuer.asked) == 1
    clock.now += 11
    have(exchange, who, token)
    assert len(issuer.asked) == 2


def test_what_is_remembered_is_bounded_and_the_oldest_goes(
    issuer: ExchangingIssuer,
    exchange: TokenExchange,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "ENTRIES", 2)
    who, token = user(issuer.issuer), issuer.issuer.mint("ursula", audience=["mesh"], scopes=["a"])
    for audience in ("one", "two", "three", "three", "two", "one"):
        have(exchange, who, token, audience)
    assert issuer.asked == ["one", "two", "three", "one"]
