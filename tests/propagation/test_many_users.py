"""Many users at once through one relay: each call goes on for its own user, or for nobody."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from meshpact.clients.forwarding import Forwarding
from propagation.issuer import ExchangingIssuer
from propagation.stage import Stage
from relayservice import SHAPES

USERS = 12
AT_ONCE = 8


def relayed(stage: Stage, methods: list[str]) -> list[tuple[str, str, str]]:
    """(whose call, method, whom the ward saw or why it was refused) of calls at once."""

    def one(number: int) -> tuple[str, str, str]:
        user, method = f"u{number}" if number % 4 else "", methods[number % len(methods)]
        answer = stage.relay(method, stage.token(user) if user else "")
        return user, method, answer.reason or answer.seen.user

    with ThreadPoolExecutor(AT_ONCE) as threads:
        return list(threads.map(one, range(USERS * len(methods))))


def test_no_call_goes_on_for_another_ones_user(stage: Stage) -> None:
    with stage.running():
        found = relayed(stage, [*SHAPES, "Greet", "Plain"])
    for user, method, seen in found:
        expected = user or "TOKEN_MISSING"
        if method == "Plain" or (method == "Greet" and not user):
            expected = ""
        assert (user, method, seen) == (user, method, expected)


def test_no_call_goes_on_with_a_token_that_was_exchanged_for_another(
    stage: Stage, issuer: ExchangingIssuer, tmp_path: Path
) -> None:
    with stage.running(Forwarding(exchange=issuer.exchange(tmp_path))):
        found = relayed(stage, ["Confide"])
    assert found == [(user, "Confide", user or "TOKEN_MISSING") for user, _, _ in found]
