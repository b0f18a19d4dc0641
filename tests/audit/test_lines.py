"""Lines hold nothing that a caller could smuggle in, and no payload or secret."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from denial.stage import staged
from guard.scripted import KEY, SERVICE, message, path
from guard.situations import ALL_SHAPES, KINDS
from meshpact.interceptors.audit import escaped, user_hash
from meshpact.interceptors.auditfile import AuditFile
from meshpact.interceptors.auditwriter import AuditWriter
from meshpact.interceptors.call import EndUser
from meshpact.interceptors.errors import Code, StatusError
from meshpact.policy.v1 import policy_pb2 as pb
from meshpact.testing.hosting import AUDIENCE, Kind

HOSTILE = (
    "\n",
    '"}\n{"v":1',
    "\x1b[2J\x1b]0;owned\x07",
    "\x00",
    "\x7f\x85\x9b",
    "\u2028\u2029",
    "\u202e\u2066\u200f\u061c",
    "\ufeff\u200b",
    "\\u000a",
    "\ud800",
    "\U000e0041",
    "İ" * 1000,
)


@given(st.text(st.characters(exclude_categories=())) | st.sampled_from(HOSTILE))
def test_text_from_outside_becomes_printable_ascii_and_stays_apart(text: str) -> None:
    found = escaped(text)
    assert found.isascii()
    assert found.isprintable()
    assert len(found) <= 512 * 10
    if len(text) <= 512:
        assert found.encode("ascii").decode("unicode_escape") == text


@pytest.mark.parametrize("text", HOSTILE)
def test_an_end_user_of_any_name_has_a_hash(text: str) -> None:
    def user(subject: str) -> EndUser:
        return EndUser(
            issuer="https://issuer.test.example",
            subject=subject,
            audience=frozenset(),
            scopes=frozenset(),
            groups=frozenset(),
            expires=0.0,
        )

    assert len(user_hash(user(text))) == 16
    assert user_hash(user(text)) != user_hash(user("alice"))


@pytest.mark.parametrize("kind", KINDS)
def test_hostile_paths_and_metadata_leave_one_clean_line_each(kind: Kind, tmp_path: Path) -> None:
    file = tmp_path / "demo.jsonl"
    writer = AuditWriter(AuditFile(file))
    texts = [text.encode() for text in HOSTILE if text != "\ud800"]
    with staged(kind, audit=writer) as stage:
        for text in texts:
            with stage.connect() as wire:
                wire.call(path("unary").encode() + text, message("unary", KEY))
            with stage.connect() as wire:
                headers = (("traceparent", text), ("x-evil", text), ("user-agent", text))
                wire.call(f"{SERVICE}/Gone", message("unary", KEY), headers)
        with stage.connect() as wire:
            assert wire.call(f"{SERVICE}/Last", message("unary", KEY)).reason == "METHOD_UNKNOWN"
    writer.close()
    raws = file.read_bytes().splitlines()
    for raw in raws:
        assert raw.decode("ascii").isprintable()
        fields = msgspec.json.decode(raw)
        assert all(str(value).isprintable() for value in fields.values())
    methods = [msgspec.json.decode(raw).get("method") for raw in raws]
    assert methods[-1] == f"{SERVICE}/Last"
    assert sum(method == f"{SERVICE}/Last" for method in methods) == 1
    assert all(len(str(method)) <= 6000 for method in methods)


@pytest.mark.parametrize("kind", KINDS)
def test_a_reason_that_a_handler_made_up_is_escaped(kind: Kind, tmp_path: Path) -> None:
    def fail(_key: int) -> None:
        raise StatusError(Code.ABORTED, "No.", reason="A\nB\u202e")

    file = tmp_path / "demo.jsonl"
    writer = AuditWriter(AuditFile(file))
    with staged(kind, audit=writer) as stage, stage.connect() as wire:
        stage.script.act = fail
        wire.call(path("unary"), message("unary", KEY))
    writer.close()
    assert msgspec.json.decode(file.read_bytes().splitlines()[-1])["reason"] == "A\\nB\\u202e"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", ALL_SHAPES)
def test_payloads_tokens_and_metadata_are_not_in_the_trail(
    kind: Kind, shape: str, tmp_path: Path
) -> None:
    file = tmp_path / "demo.jsonl"
    writer = AuditWriter(AuditFile(file))
    access = pb.Access(roles=["demo.caller"], end_user=pb.END_USER_REQUIRED)
    audit = pb.Audit(level=pb.AUDIT_LEVEL_ALL, required=True)
    number = 987_654 if shape in ("unary", "bidi") else KEY
    with staged(kind, pb.Policy(access=access, audit=audit), audit=writer) as stage:
        token = stage.bench.issuer.mint("alice-the-user", audience=[AUDIENCE], scopes=["s3cret"])
        headers = (("authorization", f"Bearer {token}"), ("x-key", "hunter2"))
        with stage.connect() as wire:
            assert wire.call(path(shape), message(shape, number), headers).code is Code.OK
            wire.call(path(shape), message(shape, number), (("authorization", "Bearer x.y.z"),))
    writer.close()
    data = file.read_bytes()
    assert len(data.splitlines()) == 4
    payload = (str(number),) if number != KEY else ()
    for secret in (*token.split("."), "alice-the-user", "s3cret", "hunter2", "x.y.z", *payload):
        assert secret.encode() not in data
