"""Files of the audit trail: private, rotated, chained on across files, healed in the open."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from audit.trails import files, line, written
from meshpact.interceptors.auditfile import AuditFile, AuditFileError
from meshpact.interceptors.auditverify import Report, verify


def look(folder: Path) -> Report:
    (report,) = verify([folder], patience=0)
    return report


def notes(report: Report) -> list[str]:
    return [finding.kind for finding in report.findings]


def test_files_are_for_their_owner_alone(tmp_path: Path) -> None:
    trail = written(tmp_path / "audit", 30)
    assert stat.S_IMODE((tmp_path / "audit").stat().st_mode) == 0o700
    for path in (*files(trail), trail.head, trail.lock):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_new_file_is_begun_at_the_size_and_old_ones_are_removed(tmp_path: Path) -> None:
    trail = written(tmp_path, 100, in_file=10, keep=4)
    assert len(files(trail)) == 4
    report = look(tmp_path)
    assert report.sound
    assert notes(report) == ["dropped"]
    for path in files(trail):
        assert path.stat().st_size < 440 * 12


def test_the_trail_goes_on_where_the_last_process_left_it(tmp_path: Path) -> None:
    for _ in range(5):
        written(tmp_path, 7)
    report = look(tmp_path)
    assert (report.sound, notes(report)) == (True, [])
    assert report.lines - report.files == 35


def test_a_line_that_a_crash_cut_is_healed_in_the_open(tmp_path: Path) -> None:
    trail = written(tmp_path, 5)
    with trail.active.open("ab") as file:
        file.write(b'{"v":1,"time":"2026')
    (found,) = look(tmp_path).findings
    assert (found.kind, found.fault) == ("cut", True)
    written(tmp_path, 2)
    report = look(tmp_path)
    assert report.sound
    (told,) = report.findings
    assert (told.kind, told.path, told.line) == ("heal", trail.active, 8)
    assert told.text == (
        "a process ended while it wrote 1 lines before this, the last of them cut off"
    )


def test_the_line_before_a_cut_one_cannot_be_changed_unseen(tmp_path: Path) -> None:
    trail = written(tmp_path, 5)
    with trail.active.open("ab") as file:
        file.write(b'{"v":1,"time":"2026')
    written(tmp_path, 2)
    lines = trail.active.read_bytes().splitlines()
    lines[5] = lines[5].replace(b'"deny"', b'"allow"')
    trail.active.write_bytes(b"\n".join(lines) + b"\n")
    assert not look(tmp_path).sound


def test_whole_lines_that_were_not_counted_in_a_crash_are_told(tmp_path: Path) -> None:
    trail = written(tmp_path, 5)
    head = trail.head.read_bytes()
    written(tmp_path, 1)
    trail.head.write_bytes(head)
    (found,) = look(tmp_path).findings
    assert (found.kind, found.fault) == ("inserted", True)
    written(tmp_path, 1)
    report = look(tmp_path)
    assert (report.sound, notes(report)) == (True, ["heal"])


def test_what_was_cut_while_no_process_ran_is_told_at_the_next_start(tmp_path: Path) -> None:
    trail = written(tmp_path, 5)
    lines = trail.active.read_bytes().splitlines(keepends=True)
    trail.active.write_bytes(b"".join(lines[:-2]))
    written(tmp_path, 1)
    (found,) = look(tmp_path).findings
    assert (found.kind, found.fault, found.line) == ("broken", True, 5)
    assert "the head counted 6 lines, 4 are there" in found.text


@pytest.mark.parametrize("damage", [b"", b"{", b"\xff\xff", b"[]"])
def test_a_head_that_is_damaged_is_told_and_the_trail_goes_on(
    tmp_path: Path, damage: bytes
) -> None:
    trail = written(tmp_path, 5)
    trail.head.write_bytes(damage)
    written(tmp_path, 5)
    assert notes(look(tmp_path)) == ["broken"]


def test_a_file_that_is_removed_under_a_running_process_is_told(tmp_path: Path) -> None:
    file = AuditFile(tmp_path / "demo.jsonl")
    file.append([line(1)])
    file.trail.active.unlink()
    file.append([line(2)])
    file.close()
    found = look(tmp_path).findings
    assert [each.kind for each in found] == ["broken"]
    assert "the head counted 2 lines, 0 are there" in found[0].text


def test_a_file_that_is_changed_under_a_running_process_is_told(tmp_path: Path) -> None:
    file = AuditFile(tmp_path / "demo.jsonl")
    file.append([line(1), line(2)])
    data = file.trail.active.read_bytes()
    file.trail.active.write_bytes(data + data.splitlines(keepends=True)[-1])
    file.append([line(3)])
    file.close()
    assert not look(tmp_path).sound


def test_two_processes_write_two_trails(tmp_path: Path) -> None:
    first, second = (AuditFile(tmp_path / "demo.jsonl") for _ in range(2))
    first.append([line(1)])
    second.append([line(2)])
    first.append([line(3)])
    assert (first.trail.name, second.trail.name) == ("demo", "demo~2")
    first.close()
    third = AuditFile(tmp_path / "demo.jsonl")
    assert third.trail.name == "demo"
    for each in (second, third):
        each.close()
    reports = verify([tmp_path], patience=0)
    assert [(report.trail.name, report.sound) for report in reports] == [
        ("demo", True),
        ("demo~2", True),
    ]


def test_what_is_no_regular_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "demo.jsonl")
    with pytest.raises(AuditFileError, match="not a regular file"):
        AuditFile(tmp_path / "demo.jsonl")


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_bytes(b"")
    (tmp_path / "demo.jsonl").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(AuditFileError, match="not a regular file"):
        AuditFile(tmp_path / "demo.jsonl").append([line(1)])


WRITES_UNTIL_KILLED = """
import sys
from pathlib import Path
from audit.trails import line
from meshpact.interceptors.auditfile import AuditFile
file = AuditFile(Path(sys.argv[1]), max_bytes=3000)
print("ready", flush=True)
number = 0
while True:
    file.append([line(number), line(number + 1)])
    number += 2
    if number == 40:
        print("go", flush=True)
"""


@pytest.mark.parametrize("_", range(3))
def test_a_trail_is_sound_after_a_process_was_killed_and_the_next_began(
    tmp_path: Path, _: int
) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", WRITES_UNTIL_KILLED, str(tmp_path / "demo.jsonl")],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    assert process.stdout is not None
    with process, process.stdout as told:
        assert told.readline() == b"ready\n"
        assert told.readline() == b"go\n"
        process.send_signal(signal.SIGKILL)
    written(tmp_path, 1)
    report = look(tmp_path)
    assert report.sound, report.findings


def test_a_live_trail_is_verified_while_it_grows_and_rotates(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", WRITES_UNTIL_KILLED, str(tmp_path / "demo.jsonl")],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    assert process.stdout is not None
    with process, process.stdout as told:
        assert told.readline() == b"ready\n"
        assert told.readline() == b"go\n"
        try:
            for _ in range(5):
                (report,) = verify([tmp_path])
                assert report.sound, report.findings
        finally:
            process.kill()


def test_a_file_that_gets_its_number_while_it_is_looked_for_is_read_by_its_new_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trail = written(tmp_path, 5)
    read, turned = Path.read_bytes, list[Path]()

    def turns_over_first(path: Path) -> bytes:
        if path == trail.active and not turned:
            turned.append(path)
            file = AuditFile(trail.active, max_bytes=1)
            file.append([line(5)])
            file.close()
            raise FileNotFoundError(path)
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", turns_over_first)
    report = look(tmp_path)
    assert (report.sound, notes(report), bool(turned)) == (True, [], True)
    assert report.lines - report.files == 6


def test_lines_are_json_with_the_names_of_line_v1(tmp_path: Path) -> None:
    trail = written(tmp_path, 1)
    fields: dict[str, object] = msgspec.json.decode(trail.active.read_bytes().splitlines()[1])
    assert list(fields) == [
        "v",
        "time",
        "event",
        "service",
        "method",
        "caller",
        "user_hash",
        "peer",
        "decision",
        "check",
        "reason",
        "code",
        "policy",
        "trace_id",
        "call",
        "prev",
    ]
