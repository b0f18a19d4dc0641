"""Methods with `audit: ALL, required` run only once their line is safe on disk."""

from __future__ import annotations

from concurrent.futures import Future
from pathlib import Path
from typing import Any

import msgspec
import pytest

from denial.stage import refusal, staged
from guard.scripted import KEY, message, path
from guard.situations import ALL_SHAPES, KINDS
from meshpact.interceptors.audit import AuditLine
from meshpact.interceptors.auditfile import AuditFile
from meshpact.interceptors.auditlines import WAIT
from meshpact.interceptors.auditwriter import AuditWriter
from meshpact.interceptors.errors import Code
from meshpact.policy.v1 import policy_pb2 as pb
from meshpact.testing.hosting import Kind

UNAVAILABLE = ("UNAVAILABLE", "AUDIT_UNAVAILABLE", "meshpact")
REQUIRED = pb.Audit(level=pb.AUDIT_LEVEL_ALL, required=True)

pytestmark = [
    pytest.mark.parametrize("kind", KINDS),
    pytest.mark.parametrize("shape", ALL_SHAPES),
]


class Trail:
    """An audit trail in memory that can fail, or not come to an end."""

    def __init__(self) -> None:
        self.lines: list[AuditLine] = []
        self.pending: list[Future[None]] = []
        self.fails = self.hangs = False

    def write(self, line: AuditLine, /) -> None:
        """Takes a line."""
        self.lines.append(line)

    def record(self, line: AuditLine, /) -> Future[None]:
        """Takes a line, or not."""
        done: Future[None] = Future()
        if self.fails:
            done.set_exception(OSError("the disk is on fire"))
        else:
            self.lines.append(line)
            if self.hangs:
                self.pending.append(done)
            else:
                done.set_result(None)
        return done


def policy(**parts: Any) -> pb.Policy:
    return pb.Policy(audit=REQUIRED, **parts)


def test_an_intent_is_on_record_before_the_handler_runs(
    kind: Kind, shape: str, tmp_path: Path
) -> None:
    file = tmp_path / "demo.jsonl"
    writer = AuditWriter(AuditFile(file))
    seen: list[bytes] = []
    with staged(kind, policy(), audit=writer) as stage, stage.connect() as wire:
        stage.script.act = lambda _key: seen.append(file.read_bytes())
        assert wire.call(path(shape), message(shape, KEY)).code is Code.OK
    writer.close()
    before = [msgspec.json.decode(raw) for raw in seen[0].splitlines()[1:]]
    after = [msgspec.json.decode(raw) for raw in file.read_bytes().splitlines()[1:]]
    assert [(each["event"], each["decision"], each["code"]) for each in before] == [
        ("intent", "allow", "")
    ]
    assert after[0] == before[0]
    assert [(each["event"], each["code"]) for each in after] == [("intent", ""), ("call", "OK")]
    assert after[0]["call"] == after[1]["call"] != ""


def test_a_call_that_cannot_be_put_on_record_does_not_run(
    kind: Kind, shape: str, caplog: pytest.LogCaptureFixture
) -> None:
    trail, ran = Trail(), list[int]()
    with staged(kind, policy(), audit=trail) as stage, stage.connect() as wire:
        stage.script.act = ran.append
        trail.fails = True
        assert refusal(wire.call(path(shape), message(shape, KEY))) == UNAVAILABLE
        assert not ran
        trail.fails = False
        assert wire.call(path(shape), message(shape, KEY)).code is Code.OK
        assert ran == [KEY]
    assert "the disk is on fire" in caplog.text
    told = [(line.event, line.decision, line.check, line.reason) for line in trail.lines]
    assert told == [
        ("call", "deny", "audit", "AUDIT_UNAVAILABLE"),
        ("intent", "allow", "", ""),
        ("call", "allow", "", ""),
    ]


def test_a_trail_that_does_not_answer_holds_a_call_up_no_longer_than_its_deadline(
    kind: Kind, shape: str
) -> None:
    deadline = pb.Deadline()
    deadline.default.nanos = deadline.max.nanos = 300_000_000
    assert WAIT > 0.3
    trail, ran = Trail(), list[int]()
    with staged(kind, policy(deadline=deadline), audit=trail) as stage, stage.connect() as wire:
        stage.script.act = ran.append
        trail.hangs = True
        answer = wire.call(path(shape), message(shape, KEY))
        assert answer.reason in ("AUDIT_UNAVAILABLE", "DEADLINE_MAXIMUM")
        assert not ran


def test_without_a_trail_nothing_runs(kind: Kind, shape: str) -> None:
    with staged(kind, policy(), audit=None) as stage, stage.connect() as wire:
        assert refusal(wire.call(path(shape), message(shape, KEY))) == UNAVAILABLE


def test_what_is_refused_anyway_waits_for_no_record(kind: Kind, shape: str) -> None:
    trail = Trail()
    trail.fails = True
    with staged(kind, policy(), audit=trail) as stage, stage.connect("stranger") as wire:
        assert wire.call(path(shape), message(shape, KEY)).reason == "ROLE_MISSING"
        assert [line.event for line in trail.lines] == ["call"]


def test_a_method_that_does_not_ask_for_it_waits_for_nothing(kind: Kind, shape: str) -> None:
    trail = Trail()
    trail.fails = True
    audit = pb.Audit(level=pb.AUDIT_LEVEL_ALL)
    with staged(kind, pb.Policy(audit=audit), audit=trail) as stage, stage.connect() as wire:
        assert wire.call(path(shape), message(shape, KEY)).code is Code.OK
