"""Calls never wait for the audit trail, unless they must; what is lost is loud."""

from __future__ import annotations

import errno
import logging
import os
import resource
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
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


class Disk:
    """A place for files that can be made full: a file system of 64 KiB where one may be mounted,
    else whatever is there, under a limit to the size of files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(folder)]
        self.mounted = subprocess.run(mount, capture_output=True, check=False).returncode == 0
        self.says = os.strerror(errno.ENOSPC if self.mounted else errno.EFBIG)
        self._limits = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill(self) -> None:
        """Takes all room that is left."""
        if not self.mounted:
            largest = max(path.stat().st_size for path in self.folder.iterdir())
            resource.setrlimit(resource.RLIMIT_FSIZE, (largest + 500, self._limits[1]))
            return
        with (self.folder / "ballast").open("wb", buffering=0) as file, suppress(OSError):
            while True:
                file.write(b"." * 1024)

    def make_room(self) -> None:
        """Gives it back."""
        resource.setrlimit(resource.RLIMIT_FSIZE, self._limits)
        (self.folder / "ballast").unlink(missing_ok=True)

    def close(self) -> None:
        """Leaves nothing mounted or limited."""
        self.make_room()
        if self.mounted:
            subprocess.run(["umount", self.folder], check=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    """A disk with room."""
    folder = tmp_path / "disk"
    folder.mkdir()
    found = Disk(folder)
    try:
        yield found
    finally:
        found.close()


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
    disk: Disk, caplog: pytest.LogCaptureFixture
) -> None:
    registry = CollectorRegistry()
    writer = AuditWriter(AuditFile(disk.folder / "demo.jsonl"), registry)
    wait(writer)
    disk.fill()
    for number in range(500):
        writer.write(line(number))
    with pytest.raises(OSError, match=disk.says):
        for number in range(100):
            writer.record(line(number)).result(30)
    assert writer.dropped > 0
    assert disk.says in caplog.text
    disk.make_room()
    writer.record(line(1000)).result(30)
    writer.close()
    gaps = [event for event in events(disk.folder / "demo.jsonl") if event.event == "gap"]
    assert sum(gap.lines for gap in gaps) == writer.dropped
    assert gaps[0].text == disk.says
    (report,) = verify([disk.folder], patience=0)
    assert report.sound, report.findings


def test_a_gap_is_told_without_waiting_for_the_next_line(disk: Disk) -> None:
    writer = AuditWriter(AuditFile(disk.folder / "demo.jsonl"))
    wait(writer)
    disk.fill()
    with pytest.raises(OSError, match=disk.says):
        for _ in range(300):
            writer.record(line(0)).result(30)
    disk.make_room()
    writer.close()
    assert [event.event for event in events(disk.folder / "demo.jsonl")] == ["begin", "gap"]


def test_a_full_disk_at_rotation_loses_no_line_that_was_written(disk: Disk) -> None:
    file = AuditFile(disk.folder / "demo.jsonl", max_bytes=8000, keep=1000)
    written = 0
    for number in range(400):
        try:
            file.append([line(number)])
        except OSError:
            disk.make_room()
        else:
            written += 1
        if number == 30:
            disk.fill()
    file.close()
    (report,) = verify([disk.folder], patience=0)
    assert report.sound, report.findings
    assert report.lines - report.files == written


def test_a_full_disk_is_no_reason_not_to_stop(disk: Disk) -> None:
    writer = AuditWriter(AuditFile(disk.folder / "demo.jsonl"))
    disk.fill()
    for number in range(1000):
        writer.write(line(number))
    writer.close()
    assert writer.dropped > 0
