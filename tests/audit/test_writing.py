"""Calls never wait for the audit trail, unless they must; what is lost is loud."""

from __future__ import annotations

import errno
import logging
import os
import subprocess
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import pytest
from prometheus_client import CollectorRegistry

from audit.trails import line
from meshpact.interceptors.audit import AuditEvent
from meshpact.interceptors.auditfile import AuditFile, Record
from meshpact.interceptors.auditverify import verify
from meshpact.interceptors.auditwriter import AuditWriter


class Stuck(AuditFile):
    """A trail on a disk that does not answer: writing waits for a pipe that nobody reads."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.reader, self._pipe = os.pipe()
        os.write(self._pipe, b"." * 65536)
        self.trying = threading.Event()

    def append(self, records: Sequence[Record]) -> None:
        self.trying.set()
        os.write(self._pipe, b".")
        super().append(records)

    def go_on(self) -> None:
        os.read(self.reader, 32768)


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "none", folder], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("only root can mount a file system of its own")
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


def metric(registry: CollectorRegistry, name: str) -> float | None:
    return registry.get_sample_value(name)


def events(path: Path) -> list[AuditEvent]:
    found = [msgspec.json.decode(raw, type=AuditEvent) for raw in path.read_bytes().splitlines()]
    return [event for event in found if event.event != "call"]


def wait(writer: AuditWriter) -> None:
    """Returns when all lines so far were written or lost."""
    try:
        writer.record(line(0)).result(30)
    except OSError:
        return


def test_lines_are_written_in_order(tmp_path: Path) -> None:
    writer = AuditWriter(AuditFile(tmp_path / "demo.jsonl"))
    for number in range(1000):
        writer.write(line(number))
    writer.close()
    raws = (tmp_path / "demo.jsonl").read_bytes().splitlines()[1:]
    traces = [int(msgspec.json.decode(raw)["trace_id"], 16) for raw in raws]
    assert traces == list(range(1000))
    assert verify([tmp_path], patience=0)[0].sound


def test_lines_of_many_threads_are_all_there(tmp_path: Path) -> None:
    writer = AuditWriter(AuditFile(tmp_path / "demo.jsonl", max_bytes=20_000, keep=1000))

    def write() -> None:
        for number in range(200):
            writer.write(line(number))

    threads = [threading.Thread(target=write) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    writer.close()
    (report,) = verify([tmp_path], patience=0)
    assert report.sound
    assert report.lines - report.files == 1600


def test_a_line_that_is_on_record_is_in_the_file(tmp_path: Path) -> None:
    writer = AuditWriter(AuditFile(tmp_path / "demo.jsonl"))
    writer.record(line(7)).result(30)
    assert b"00000007" in (tmp_path / "demo.jsonl").read_bytes()
    writer.close()


def test_nobody_waits_for_a_disk_that_is_stuck(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file, registry = Stuck(tmp_path / "demo.jsonl"), CollectorRegistry()
    writer = AuditWriter(file, registry, capacity=10)
    writer.write(line(0))
    assert file.trying.wait(30)
    for number in range(1, 31):
        writer.write(line(number))
    assert writer.dropped == 20
    assert metric(registry, "meshpact_audit_lines_dropped_total") == 20
    assert metric(registry, "meshpact_audit_failing") == 1
    assert [r.levelno for r in caplog.records if "audit lines are lost" in r.message] == [
        logging.ERROR
    ]
    with pytest.raises(OSError, match="takes no more lines"):
        writer.record(line(31)).result(30)
    file.go_on()
    writer.close()
    gap = events(tmp_path / "demo.jsonl")[1]
    assert (gap.event, gap.lines) == ("gap", 21)
    assert gap.since
    assert metric(registry, "meshpact_audit_failing") == 0
    (report,) = verify([tmp_path], patience=0)
    assert (report.sound, [finding.kind for finding in report.findings]) == (True, ["gap"])


def test_closing_does_not_wait_for_ever(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = Stuck(tmp_path / "demo.jsonl")
    writer = AuditWriter(file, close_seconds=0.1)
    writer.write(line(0))
    assert file.trying.wait(30)
    writer.write(line(1))
    writer.close()
    assert "could not be written in time" in caplog.text
    file.go_on()


def test_after_closing_lines_are_refused(tmp_path: Path) -> None:
    writer = AuditWriter(AuditFile(tmp_path / "demo.jsonl"))
    writer.close()
    writer.close()
    writer.write(line(0))
    assert writer.dropped == 1
    with pytest.raises(OSError, match="takes no more"):
        writer.record(line(1)).result(0)


def test_a_full_disk_loses_lines_loudly_and_says_so_when_there_is_room(
    full_disk: Path, caplog: pytest.LogCaptureFixture
) -> None:
    registry = CollectorRegistry()
    writer = AuditWriter(AuditFile(full_disk / "demo.jsonl"), registry)
    wait(writer)
    ballast = full_disk / "ballast"
    fill(ballast)
    for number in range(500):
        writer.write(line(number))
    with pytest.raises(OSError, match="No space left on device"):
        for number in range(100):
            writer.record(line(number)).result(30)
    assert writer.dropped > 0
    assert "No space left on device" in caplog.text
    ballast.unlink()
    writer.record(line(1000)).result(30)
    writer.close()
    gaps = [event for event in events(full_disk / "demo.jsonl") if event.event == "gap"]
    assert sum(gap.lines for gap in gaps) == writer.dropped
    assert gaps[0].text == os.strerror(errno.ENOSPC)
    (report,) = verify([full_disk], patience=0)
    assert report.sound, report.findings


def test_a_gap_is_told_without_waiting_for_the_next_line(full_disk: Path) -> None:
    writer = AuditWriter(AuditFile(full_disk / "demo.jsonl"))
    wait(writer)
    ballast = full_disk / "ballast"
    fill(ballast)
    with pytest.raises(OSError, match="No space"):
        for _ in range(300):
            writer.record(line(0)).result(30)
    ballast.unlink()
    writer.close()
    assert [event.event for event in events(full_disk / "demo.jsonl")] == ["begin", "gap"]


def test_a_full_disk_at_rotation_loses_no_line_that_was_written(full_disk: Path) -> None:
    file = AuditFile(full_disk / "demo.jsonl", max_bytes=8000)
    written = 0
    for number in range(400):
        try:
            file.append([line(number)])
        except OSError:
            (full_disk / "ballast").unlink(missing_ok=True)
        else:
            written += 1
        if number == 30:
            fill(full_disk / "ballast")
    file.close()
    (report,) = verify([full_disk], patience=0)
    assert report.sound, report.findings
    assert report.lines - report.files == written


def fill(path: Path) -> None:
    """Takes all room that is left."""
    with path.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"." * 1024)
        except OSError:
            return


def test_a_full_disk_is_no_reason_not_to_stop(full_disk: Path) -> None:
    writer = AuditWriter(AuditFile(full_disk / "demo.jsonl"))
    fill(full_disk / "ballast")
    for number in range(1000):
        writer.write(line(number))
    writer.close()
    assert writer.dropped > 0
