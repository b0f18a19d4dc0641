"""A stream ends when the token of its end user does, though both sides would go on."""

from __future__ import annotations

import time
from typing import Final

import pytest

from denial.stage import Stage, refusal, staged
from guard.scripted import KEY, WAIT, message, path
from guard.situations import KINDS, ROLE
from meshpact.interceptors.errors import Code
from meshpact.policy.v1 import policy_pb2 as pb
from meshpact.testing.hosting import AUDIENCE, Kind
from meshpact.testing.rawanswer import Ended

pytestmark = pytest.mark.parametrize("kind", KINDS)
streams = pytest.mark.parametrize("shape", ["server", "client", "bidi"])

LEFT: Final = 0.5
"""Seconds that every call's token has left, however long its judging takes."""
EXPIRED: Final = ("UNAUTHENTICATED", "TOKEN_EXPIRED", "meshpact")


class Wall:
    """The guard's time: what a token has left stands still until a stream has begun."""

    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        return self.now

    def authorization(self, stage: Stage, left: float = LEFT) -> tuple[str, bytes]:
        """A token that is valid, and has `left` seconds left when the guard looks at the time."""
        expires = int(time.time()) + 3600
        token = stage.bench.issuer.mint("alice", audience=[AUDIENCE], claims={"exp": expires})
        self.now = expires - left
        return "authorization", f"Bearer {token}".encode()


@pytest.fixture
def wall() -> Wall:
    return Wall()


def policy(rule: pb.EndUser.ValueType) -> pb.Policy:
    found = pb.Policy()
    found.access.roles.append(ROLE)
    found.access.end_user = rule
    return found


@streams
def test_a_stream_ends_with_its_token(kind: Kind, shape: str, wall: Wall) -> None:
    with staged(kind, policy(pb.END_USER_REQUIRED), wall=wall) as stage, stage.connect() as wire:
        running = stage.call_until_it_waits(wire, shape, wall.authorization(stage))
        answer = wire.answer(running, 30)
        assert refusal(answer) == EXPIRED
        assert answer.message == "Unauthenticated: the token has expired"
        assert answer.ended is Ended.TRAILERS
        (line,) = stage.watching.wait(path(shape))
        assert (line.decision, line.code, line.reason) == ("allow", *EXPIRED[:2])


@streams
def test_a_deadline_before_the_end_of_the_token_is_told_as_one(
    kind: Kind, shape: str, wall: Wall
) -> None:
    found = policy(pb.END_USER_OPTIONAL)
    found.deadline.default.FromMilliseconds(int(LEFT * 500))
    found.deadline.max.FromMilliseconds(int(LEFT * 500))
    with staged(kind, found, wall=wall) as stage, stage.connect() as wire:
        token = wall.authorization(stage)
        wire.call(path(shape), message(shape, KEY), [token])  # that keys are read beforehand
        assert wire.call(path(shape), message(shape, WAIT), [token]).reason == "DEADLINE_MAXIMUM"


def test_a_unary_call_that_has_begun_is_answered(kind: Kind, wall: Wall) -> None:
    found = policy(pb.END_USER_REQUIRED)
    with staged(kind, found, wall=wall) as stage, stage.connect() as wire:
        running = stage.call_until_it_waits(wire, "unary", wall.authorization(stage, -1))
        stage.script.go.set()
        assert wire.answer(running, 30).code is Code.OK


@streams
def test_a_stream_without_an_end_user_goes_on(kind: Kind, shape: str) -> None:
    found = policy(pb.END_USER_OPTIONAL)
    with staged(kind, found, wall=lambda: 2 * time.time()) as stage, stage.connect() as wire:
        assert wire.call(path(shape), message(shape, KEY)).code is Code.OK
