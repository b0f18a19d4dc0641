"""`meshpact audit` as a person uses it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import msgspec
import pytest

from audit.trails import line, written
from certsshell import Shell, new_shell
from meshpact.interceptors.auditfile import AuditFile
from meshpact.interceptors.audittail import Follower


@pytest.fixture
def shell(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Shell:
    return new_shell(tmp_path, capsys, monkeypatch)


def test_verify_says_in_words_and_json_that_a_trail_is_sound(shell: Shell) -> None:
    written(shell.state / "audit", 25)
    found = shell.on_state("audit", "verify")
    assert found.code == 0
    assert "is as it was written: 28 lines in 3 files; anchor 28:" in found.out
    (report,) = json.loads(shell.on_state("audit", "verify", "--json").out)
    assert (report["sound"], report["lines"], report["findings"]) == (True, 28, [])


def test_verify_names_file_and_line_of_what_was_changed(shell: Shell) -> None:
    trail = written(shell.state / "audit", 25)
    path = trail.numbered(1)
    path.write_bytes(path.read_bytes().replace(b"deny", b"allow", 1))
    found = shell.on_state("audit", "verify")
    assert found.code == 1
    assert f"{path}:2: this line was changed, or lines after it were cut out" in found.out
    assert "IS NOT AS IT WAS WRITTEN" in found.out
    (report,) = json.loads(shell.on_state("audit", "verify", "--json").out)
    assert (report["findings"][0]["file"], report["findings"][0]["line"]) == (str(path), 2)
    assert shell("audit", "verify", str(path)).code == 1
    assert shell("audit", "verify", str(trail.numbered(2))).code == 0


def test_verify_holds_a_trail_against_an_anchor(shell: Shell) -> None:
    trail = written(shell.state / "audit", 5)
    (report,) = json.loads(shell.on_state("audit", "verify", "--json").out)
    anchor = report["anchor"]
    written(shell.state / "audit", 5)
    assert shell.on_state("audit", "verify", "--anchor", anchor).code == 0
    for path in (trail.active, trail.head):
        path.unlink()
    written(shell.state / "audit", 30)
    assert shell.on_state("audit", "verify").code == 0
    assert shell.on_state("audit", "verify", "--anchor", anchor).code == 1


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("verify", "nowhere"), "nowhere is not there"),
        (("verify", "--anchor", "x"), "LINES:HASH"),
        (("tail",), "there is no audit trail in"),
        (("tail", "-n", "-1"), "--lines"),
    ],
)
def test_wrong_use_says_what_is_allowed(
    shell: Shell, arguments: tuple[str, ...], told: str
) -> None:
    found = shell("audit", *arguments)
    assert found.code == 2
    assert told in found.out + found.err
    assert "Traceback" not in found.out + found.err


def test_tail_shows_the_latest_decisions_of_all_services_in_words(shell: Shell) -> None:
    for hour, name in enumerate(("orders", "inventory")):
        file = AuditFile(shell.state / "audit" / f"{name}.jsonl")
        time = f"2099-11-23T0{hour}:00:00.000Z"
        refused = msgspec.structs.replace(line(1), service=name, time=time)
        file.append([refused, msgspec.structs.replace(refused, decision="allow", reason="")])
        file.close()
    found = shell.on_state("audit", "tail", "-n", "3")
    lines = found.out.splitlines()
    assert len(lines) == 3
    assert "inventory    allowed    demo.v1.DemoService/Echo by spiffe://test" in lines[2]
    denied = shell.on_state("audit", "tail", "--denied", "orders").out.splitlines()
    assert len(denied) == 1
    assert "DENIED     demo.v1.DemoService/Echo by spiffe://test.example/caller" in denied[0]
    assert "(ROLE_MISSING, access, PERMISSION_DENIED)" in denied[0]
    as_json = shell.on_state("audit", "tail", "--json", "inventory").out.splitlines()
    assert [json.loads(each)["event"] for each in as_json] == ["begin", "call", "call"]
    wrong = shell.on_state("audit", "tail", "shipping")
    assert wrong.code == 2
    assert "there: inventory, orders" in wrong.out + wrong.err


def test_tail_goes_back_over_files(shell: Shell) -> None:
    written(shell.state / "audit", 25)
    assert len(shell.on_state("audit", "tail", "-n", "24", "--denied").out.splitlines()) == 24


def test_what_somebody_wrote_into_a_trail_does_not_reach_the_terminal(shell: Shell) -> None:
    trail = written(shell.state / "audit", 1)
    evil = msgspec.structs.replace(line(2), method="/\x1b[2J\u202e", reason="\x07")
    with trail.active.open("ab") as file:
        file.write(msgspec.json.encode(evil) + b"\n\x1b[31m\n")
    for found in (shell.on_state("audit", "tail"), shell.on_state("audit", "tail", "--json")):
        assert "\x1b" not in found.out
        assert "\x07" not in found.out
        assert "\u202e" not in found.out
        assert len(found.out.splitlines()) == 4


def test_a_follower_sees_each_new_line_once_across_rotations(tmp_path: Path) -> None:
    file = AuditFile(tmp_path / "demo.jsonl", max_bytes=2000, keep=100)
    file.append([line(0)])
    follower = Follower(tmp_path)
    seen: list[str] = []
    for number in range(1, 40):
        file.append([line(number)])
        if number % 3 == 0:
            seen.extend(json.loads(each.as_json()).get("trace_id", "") for each in follower.new())
    file.close()
    seen.extend(json.loads(each.as_json()).get("trace_id", "") for each in follower.new())
    follower.close()
    assert [int(each, 16) for each in seen if each] == list(range(1, 40))


def test_follow_prints_what_is_written_from_now_on(tmp_path: Path) -> None:
    folder = tmp_path / "audit"
    file = AuditFile(folder / "demo.jsonl")
    file.append([line(1)])
    arguments = ("audit", "tail", "--follow", "--denied", "--state", str(tmp_path))
    process = subprocess.Popen(
        [sys.executable, "-u", "-m", "meshpact.cli", *arguments],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    assert process.stdout is not None
    with process, process.stdout as told:
        stop = threading.Timer(60, process.kill)
        stop.start()
        try:
            assert "demo.v1.DemoService/Echo" in told.readline()
            file.append([line(2, method="/demo.v1.DemoService/Sum")])
            assert "demo.v1.DemoService/Sum" in told.readline()
        finally:
            stop.cancel()
            process.kill()
    file.close()
