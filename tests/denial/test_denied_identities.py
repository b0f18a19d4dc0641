"""An identity that is denied calls nothing any more, and what it runs ends at once."""

from __future__ import annotations

import threading

import pytest

from demo.v1 import demo_pb2
from denial.stage import REFUSED, refusal, staged
from guard.scripted import KEY, SERVICE, message, path
from guard.situations import ALL_SHAPES, KINDS
from meshpact.interceptors.errors import Code
from meshpact.policy.v1 import policy_pb2 as pb
from meshpact.testing.hosting import Kind
from meshpact.testing.rawanswer import Ended
from meshpact.testing.rawwire import grpc_message

pytestmark = pytest.mark.parametrize("kind", KINDS)
every_shape = pytest.mark.parametrize("shape", ALL_SHAPES)


@every_shape
def test_new_calls_are_refused_until_the_denial_is_taken_back(kind: Kind, shape: str) -> None:
    with staged(kind) as stage, stage.connect() as wire, stage.connect("other") as other:
        assert wire.call(path(shape), message(shape, KEY)).code is Code.OK
        stage.bench.roles.deny(stage.bench.id_of("caller"))
        assert refusal(wire.call(path(shape), message(shape, KEY))) == REFUSED
        assert other.call(path(shape), message(shape, KEY)).code is Code.OK
        stage.bench.roles.deny()
        assert wire.call(path(shape), message(shape, KEY)).code is Code.OK
        decisions = [
            (line.caller[-6:], line.decision) for line in stage.watching.wait(path(shape), 4)
        ]
        assert decisions == [
            ("caller", "allow"),
            ("caller", "deny"),
            ("/other", "allow"),
            ("caller", "allow"),
        ]


def test_an_identity_is_denied_by_prefix_and_by_serial_number(kind: Kind) -> None:
    with staged(kind) as stage, stage.connect() as wire:
        for denied, serials in (("spiffe://test.example/*", ()), ("", (stage.serial("caller"),))):
            stage.bench.roles.deny(*filter(None, [denied]), serials=serials)
            assert refusal(wire.call(path("unary"), message("unary", KEY))) == REFUSED
        stage.bench.roles.deny("spiffe://test.example/call/*", serials=[stage.serial("other")])
        assert wire.call(path("unary"), message("unary", KEY)).code is Code.OK


def test_a_denied_identity_is_refused_where_nobody_needs_one(kind: Kind) -> None:
    with staged(kind) as stage, stage.connect() as wire:
        stage.bench.roles.deny(stage.bench.id_of("caller"))
        assert refusal(wire.call(f"{SERVICE}/Hello", grpc_message(b""))) == REFUSED


def test_a_denial_comes_before_what_network_token_and_roles_say(kind: Kind) -> None:
    access = pb.Access(roles=["demo.nobody"], end_user=pb.END_USER_REQUIRED)
    with staged(kind, pb.Policy(access=access)) as stage, stage.connect() as wire:
        stage.bench.roles.deny(stage.bench.id_of("caller"))
        assert refusal(wire.call(path("unary"), message("unary", KEY))) == REFUSED


@every_shape
def test_running_calls_end_at_once_and_those_of_others_go_on(kind: Kind, shape: str) -> None:
    with staged(kind) as stage, stage.connect() as wire, stage.connect("other") as other:
        running = stage.call_until_it_waits(wire, shape)
        others = stage.call_until_it_waits(other, shape)
        stage.bench.roles.deny(stage.bench.id_of("caller"))
        answer = wire.answer(running, 30)
        assert refusal(answer) == REFUSED
        assert answer.ended is Ended.TRAILERS
        (line,) = stage.watching.wait(path(shape))
        assert (line.decision, line.check, line.reason) == (
            "deny",
            "identity",
            "IDENTITY_DENIED",
        )
        stage.script.go.set()
        if shape in ("client", "bidi"):
            other.send(others, b"", end=True)
        assert other.answer(others, 30).code is Code.OK
        lines = stage.watching.wait(path(shape), 2)
        assert [each.decision for each in lines] == ["deny", "allow"]
        assert stage.watching.counts() == {
            (path(shape)[1:], "PERMISSION_DENIED"): 1,
            (path(shape)[1:], "OK"): 1,
        }


@every_shape
def test_a_running_call_is_ended_by_its_serial_number(kind: Kind, shape: str) -> None:
    with staged(kind) as stage, stage.connect() as wire:
        running = stage.call_until_it_waits(wire, shape)
        stage.bench.roles.deny(serials=[stage.serial("other")])
        stage.bench.roles.deny(serials=[stage.serial("caller")])
        assert refusal(wire.answer(running, 30)) == REFUSED


@every_shape
def test_a_call_under_the_servers_own_deadline_is_ended_too(kind: Kind, shape: str) -> None:
    deadline = pb.Deadline()
    deadline.default.seconds = deadline.max.seconds = 60
    with staged(kind, pb.Policy(deadline=deadline)) as stage, stage.connect() as wire:
        running = stage.call_until_it_waits(wire, shape)
        stage.bench.roles.deny(stage.bench.id_of("caller"))
        assert refusal(wire.answer(running, 30)) == REFUSED


@pytest.mark.parametrize("shape", ["client", "bidi"])
def test_a_stream_that_waits_for_its_caller_is_ended(kind: Kind, shape: str) -> None:
    with staged(kind) as stage, stage.connect() as wire:
        taken = threading.Event()
        stage.script.act = lambda _key: taken.set()
        stream = wire.open(path(shape))
        wire.send(stream, message(shape, KEY), end=False)
        assert taken.wait(30)
        stage.bench.roles.deny(stage.bench.id_of("caller"))
        assert refusal(wire.answer(stream, 30)) == REFUSED
        stage.watching.wait(path(shape))


@every_shape
def test_a_call_that_is_ended_gives_its_slot_back_once(kind: Kind, shape: str) -> None:
    policy = pb.Policy(concurrency=pb.Concurrency(max=1))
    with staged(kind, policy) as stage, stage.connect() as wire:
        running = stage.call_until_it_waits(wire, shape)
        stage.bench.roles.deny(stage.bench.id_of("caller"))
        assert refusal(wire.answer(running, 30)) == REFUSED
        stage.bench.roles.deny()
        stage.script.go.set()
        for _ in range(3):
            assert wire.call(path(shape), message(shape, KEY)).code is Code.OK
        stage.script.go.clear()
        held = stage.call_until_it_waits(wire, shape)
        assert wire.call(path(shape), message(shape, KEY)).reason == "OVERLOADED"
        stage.script.go.set()
        wire.reset(held)


def test_a_stream_whose_caller_reads_nothing_is_ended(kind: Kind) -> None:
    with staged(kind) as stage, stage.connect() as wire:
        stage.script.respond = lambda _: demo_pb2.ChatResponse(text="x" * 60_000)
        stream = wire.open(path("bidi"))
        for _ in range(40):
            wire.send(stream, message("bidi", KEY), end=False)
        stage.bench.roles.deny(stage.bench.id_of("caller"))
        (line,) = stage.watching.wait(path("bidi"))
        assert line.reason == "IDENTITY_DENIED"
