"""Trace, metrics and audit see every end of a call once: success, refusal, error, cancellation,
deadline, loss of the connection; and never change it."""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from typing import Any

import pytest
from opentelemetry.trace import StatusCode

from guard.scripted import KEY, SERVICE, WAIT, Script, message, path, servicer
from guard.situations import ALL_SHAPES, KINDS, ROLE
from guard.watching import Watching
from meshpact.interceptors.errors import Code, StatusError
from meshpact.policy.v1 import policy_pb2 as pb
from meshpact.testing.hosting import Kind, Workbench
from meshpact.testing.rawanswer import Ended
from meshpact.testing.rawwire import RawConnection, grpc_message


class Watched:
    """A server under observation, every call of which is audited."""

    def __init__(self, kind: Kind, bench: Workbench, port: int, script: Script) -> None:
        self.kind, self.bench, self.port, self.script = kind, bench, port, script
        self.watching = Watching()

    def connect(self, service: str = "caller") -> RawConnection:
        return self.bench.connect(self.port, service)

    def expect_one(self, shape: str, code: str, reason: str = "", decision: str = "allow") -> None:
        """One end, told alike by all three observers."""
        watching = self.watching
        (line,) = watching.wait(path(shape))
        assert (line.code, line.reason, line.decision) == (code, reason, decision)
        assert line.caller.startswith("spiffe://test.example/")
        counts = watching.counts()
        counts.pop((f"{SERVICE[1:]}/Hello", "OK"), None)
        assert counts == {(path(shape)[1:], code): 1}
        (span,) = [each for each in watching.spans if each.name == path(shape)[1:]]
        attributes = dict(span.attributes or {})
        assert attributes["rpc.response.status_code"] == code
        context = span.context
        assert context is not None
        assert line.trace_id == f"{context.trace_id:032x}"

    def settle(self, wire: RawConnection) -> None:
        """Returns when the server has read all that was sent before on the connection."""
        answer = wire.call(f"{SERVICE}/Hello", grpc_message(b""))
        assert answer.code is Code.OK, str(answer)
        if self.kind == "sync":
            self.script.go.set()  # a thread cannot be interrupted


@contextlib.contextmanager
def watched(kind: Kind, **parts: Any) -> Generator[Watched]:
    script = Script()
    with Workbench() as bench:
        bench.roles.set({bench.id_of("caller"): frozenset({ROLE})})
        found = Watched(kind, bench, 0, script)
        policy = pb.Policy(audit=pb.Audit(level=pb.AUDIT_LEVEL_ALL), **parts)
        with bench.serving(
            kind,
            lambda: [servicer(kind, script)],
            guard=bench.guard(**found.watching.options),
            overlay={path(shape)[1:]: policy for shape in ALL_SHAPES},
        ) as found.port:
            try:
                yield found
            finally:
                script.go.set()


pytestmark = [
    pytest.mark.parametrize("kind", KINDS),
    pytest.mark.parametrize("shape", ALL_SHAPES),
]


def test_a_success_is_seen(kind: Kind, shape: str) -> None:
    with watched(kind) as server, server.connect() as wire:
        assert wire.call(path(shape), message(shape, KEY)).code is Code.OK
        server.expect_one(shape, "OK")
        assert server.watching.spans[0].status.status_code is StatusCode.UNSET


def test_a_refusal_is_seen(kind: Kind, shape: str) -> None:
    with watched(kind) as server, server.connect("stranger") as wire:
        answer = wire.call(path(shape), message(shape, KEY))
        assert answer.reason == "ROLE_MISSING"
        server.expect_one(shape, "PERMISSION_DENIED", "ROLE_MISSING", "deny")


def test_an_error_of_the_handler_is_seen(kind: Kind, shape: str) -> None:
    def fail(_key: int) -> None:
        raise StatusError(Code.DATA_LOSS, "Gone.", reason="LOST")

    with watched(kind) as server, server.connect() as wire:
        server.script.act = fail
        assert wire.call(path(shape), message(shape, KEY)).reason == "LOST"
        server.expect_one(shape, "DATA_LOSS", "LOST")
        assert server.watching.spans[0].status.status_code is StatusCode.ERROR


def test_a_cancellation_by_the_caller_is_seen(kind: Kind, shape: str) -> None:
    with watched(kind) as server, server.connect() as wire:
        stream = wire.open(path(shape))
        wire.send(stream, message(shape, WAIT), end=True)
        assert server.script.entered.wait(30)
        wire.reset(stream)
        server.settle(wire)
        (line,) = server.watching.wait(path(shape))
        server.expect_one(shape, "CANCELLED", line.reason)


def test_the_callers_deadline_is_seen(kind: Kind, shape: str) -> None:
    with watched(kind) as server, server.connect() as wire:
        stream = wire.open(path(shape), (("grpc-timeout", "1500m"),))
        wire.send(stream, message(shape, WAIT), end=True)
        assert server.script.entered.wait(30)
        answer = wire.answer(stream, 30)
        assert (answer.ended, answer.code) == (Ended.TRAILERS, Code.DEADLINE_EXCEEDED)
        server.settle(wire)
        (line,) = server.watching.wait(path(shape))
        server.expect_one(shape, "DEADLINE_EXCEEDED", line.reason)


def test_the_contracts_deadline_is_seen(kind: Kind, shape: str) -> None:
    deadline = pb.Deadline()
    deadline.default.nanos = 400_000_000
    deadline.max.nanos = 400_000_000
    with watched(kind, deadline=deadline) as server, server.connect() as wire:
        for timeout in ((), (("grpc-timeout", "1M"),)):
            answer = wire.call(path(shape), message(shape, WAIT), timeout)
            assert (answer.code, answer.reason) == (Code.DEADLINE_EXCEEDED, "DEADLINE_MAXIMUM")
            assert answer.seconds > 0.35
        lines = server.watching.wait(path(shape), 2)
        assert [line.reason for line in lines] == ["DEADLINE_MAXIMUM"] * 2
        assert server.watching.counts() == {(path(shape)[1:], "DEADLINE_EXCEEDED"): 2}


def test_the_loss_of_the_connection_is_seen(kind: Kind, shape: str) -> None:
    with watched(kind) as server:
        with server.connect() as wire:
            stream = wire.open(path(shape))
            wire.send(stream, message(shape, WAIT), end=True)
            assert server.script.entered.wait(30)
        if kind == "sync":
            # Threads are not told; the call is over when its handler is, and is seen then.
            server.script.go.set()
        (line,) = server.watching.wait(path(shape))
        if kind == "aio":
            assert line.code == "CANCELLED"
        server.expect_one(shape, line.code, line.reason)


def test_an_observer_that_fails_fails_no_call(
    kind: Kind, shape: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("the observer is broken")

    monkeypatch.setattr(Watching, "write", broken)
    monkeypatch.setattr(Watching, "on_end", broken)
    with watched(kind) as server, server.connect() as wire:
        for _ in range(3):
            assert wire.call(path(shape), message(shape, KEY)).code is Code.OK
