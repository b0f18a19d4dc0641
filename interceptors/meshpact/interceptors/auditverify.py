"""Whether audit trails are what was written, and where they are not.

What is found: any line changed, cut out, put in, doubled or moved, by whoever cannot also rewrite
every later line and the head; files that are missing; lines missing at the end. What is not: a
trail rewritten whole, with its head, by somebody who may write its directory. Against that, keep an
anchor (`LINES:HASH`, printed by `meshpact audit verify`) elsewhere, and verify against it later.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgspec

from meshpact.interceptors.audit import (
    CALL_EVENTS,
    TRAIL_EVENTS,
    VERSION,
    AuditEvent,
    AuditLine,
    escaped,
)
from meshpact.interceptors.auditlayout import Head, Trail, digest, trail_of, trails_in

ATTEMPTS: Final = 20
PATIENCE: Final = 1.0
"""Seconds that a head may lag behind its lines: a writer counts them a moment later."""


@dataclass(frozen=True, slots=True)
class Anchor:
    """What is known of a trail from elsewhere: the hash of one of its lines."""

    lines: int
    hash: str

    @classmethod
    def parse(cls, text: str) -> Anchor:
        """`LINES:HASH`; ValueError when it is not that."""
        lines, _, found = text.partition(":")
        if not lines.isdecimal() or len(found) != 64 or set(found) - set("0123456789abcdef"):
            raise ValueError(f"found {text!r}; allowed: LINES:HASH, as verify prints it")
        return cls(int(lines), found)

    def __str__(self) -> str:
        return f"{self.lines}:{self.hash}"


@dataclass(frozen=True, slots=True)
class Finding:
    """Something at one place of a trail; `line` counts from 1 within the file, 0: the file."""

    kind: str
    """changed, cut, moved, doubled, inserted, unreadable, missing-file, begin, head, anchor,
    broken; of those that are no faults: heal, gap, dropped."""
    path: Path
    line: int
    text: str
    fault: bool = True

    def __str__(self) -> str:
        place = f"{self.path}:{self.line}" if self.line else str(self.path)
        return f"{place}: {self.text}"


@dataclass(slots=True)
class Report:
    """What was found in one trail."""

    trail: Trail
    files: int = 0
    lines: int = 0
    """Lines that were looked at."""
    findings: list[Finding] = field(default_factory=list[Finding])
    anchor: Anchor | None = None
    """The end of the trail, to keep elsewhere."""

    @property
    def sound(self) -> bool:
        """Whether nothing is wrong; what a crash or a full disk did is told, and is not wrong."""
        return not any(finding.fault for finding in self.findings)


def verify(
    paths: Iterable[Path], anchor: Anchor | None = None, *, patience: float = PATIENCE
) -> list[Report]:
    """The trails of directories and files, each verified.

    Of a trail of which only some files are given, these are verified: each by itself, and that
    each follows the one before. OSError when one cannot be read.
    """
    whole: dict[Trail, None] = {}
    parts: dict[Trail, list[Path]] = {}
    for path in paths:
        if path.is_dir():
            whole.update(dict.fromkeys(trails_in(path)))
        else:
            parts.setdefault(trail_of(path)[0], []).append(path)
    reports = [_settled(trail, None, anchor, patience) for trail in whole]
    reports += [_settled(trail, files, anchor, patience) for trail, files in parts.items()]
    return reports


def _settled(
    trail: Trail, files: list[Path] | None, anchor: Anchor | None, patience: float
) -> Report:
    """A report that no rotation meanwhile has spoiled."""
    for attempt in range(1, ATTEMPTS + 1):
        before = _head(trail)
        try:
            report = _Look(trail, files, before, anchor, patience).report()
        except FileNotFoundError:
            if files is not None or attempt == ATTEMPTS:
                raise
            continue  # it bears another name by now
        after = _head(trail)
        if (
            report.sound
            or attempt == ATTEMPTS
            or not (isinstance(before, Head) and isinstance(after, Head))
            or (before.file, before.first) == (after.file, after.first)
        ):
            return report
    raise AssertionError("there is always an attempt")


def _head(trail: Trail) -> Head | str | None:
    try:
        return trail.read_head()
    except ValueError as error:
        return str(error)


class _Look:
    """One look at one trail. The head is read first: a writer counts lines after writing them."""

    def __init__(
        self,
        trail: Trail,
        files: list[Path] | None,
        head: Head | str | None,
        anchor: Anchor | None,
        patience: float,
    ) -> None:
        self._trail = trail
        self._patience = patience
        self._given = files
        self._head = head
        self._anchor = anchor
        self._report = Report(trail)
        self._total = 0
        """Lines of the trail up to where it was read, with those in files that are gone."""
        self._last = ""
        self._first = 0
        """Number of the oldest file that is there."""
        self._torn = False
        named = [each.lines for each in (head, anchor) if isinstance(each, Head | Anchor)]
        self._named = frozenset(named)
        self._hashes: dict[int, str] = {}
        """Those of the lines that head and anchor name."""

    def report(self) -> Report:
        files = self._files()
        self._report.files = len(files)
        before = 0
        for number, path in files:
            before = self._read(number, path, before)
            self._first = self._first or before
        if self._given is None or self._trail.active in self._given:
            self._check_head(before)
        if self._anchor is not None:
            self._check_anchor(self._anchor)
        if self._total:
            self._report.anchor = Anchor(self._total, self._last)
        return self._report

    def _files(self) -> list[tuple[int, Path]]:
        """Files by number; the one that is written comes last."""
        if self._given is None:
            active = self._trail.active
            return [*self._trail.full(), *([(0, active)] if active.exists() else [])]
        numbered = [(trail_of(path)[1], path) for path in dict.fromkeys(self._given)]
        return sorted(numbered, key=lambda each: each[0] or sys.maxsize)

    def _find(self, kind: str, path: Path, line: int, text: str, *, fault: bool = True) -> None:
        self._report.findings.append(Finding(kind, path, line, text, fault))

    def _read(self, number: int, path: Path, before: int) -> int:
        """Goes through a file that comes after file `before` (0: it is the first); its number."""
        *raws, tail = path.read_bytes().split(b"\n")
        records = [_record(raw) for raw in raws]
        begin = records[0] if records else None
        if not isinstance(begin, AuditEvent) or begin.event != "begin":
            what = "its first line is not the beginning of a file" if raws else "it has no lines"
            self._find("begin", path, int(bool(raws)), what)
            begin = None
        found = number or (begin.file if begin is not None else before + 1)
        if begin is not None:
            self._check_begin(begin, path, found, before)
        hashes = [digest(raw) for raw in raws]
        where = {found: position for position, found in reversed(list(enumerate(hashes)))}
        for position, (record, own) in enumerate(zip(records, hashes, strict=True)):
            self._check_line(path, position, record, own, records, hashes, where)
            self._last = own
            self._total += 1
            if self._total in self._named:
                self._hashes[self._total] = own
        self._report.lines += len(raws)
        self._torn = bool(tail)
        if tail and number:
            self._find("cut", path, len(raws) + 1, "the last line is cut")
        return found

    def _check_begin(self, begin: AuditEvent, path: Path, number: int, before: int) -> None:
        if begin.file != number:
            self._find("begin", path, 1, f"the file says that it is number {begin.file}")
        if not before:
            self._total, self._last = begin.lines, begin.prev
            self._hashes[begin.lines] = begin.prev
        elif number > before + 1:
            missing = f"{before + 1}" if number == before + 2 else f"{before + 1} to {number - 1}"
            self._find(
                "missing-file",
                path,
                0,
                f"file {missing} before it is missing: {begin.lines - self._total} lines",
            )
            self._total, self._last = begin.lines, begin.prev
        elif begin.lines != self._total:
            self._find(
                "cut" if begin.lines > self._total else "inserted",
                path,
                1,
                f"{begin.lines} lines came before this file, {self._total} are there",
            )
            self._total = begin.lines

    def _check_line(
        self,
        path: Path,
        position: int,
        record: AuditLine | AuditEvent | None,
        own: str,
        records: list[AuditLine | AuditEvent | None],
        hashes: list[str],
        where: dict[str, int],
    ) -> None:
        line = position + 1
        if record is None:
            after = records[line] if line < len(records) else None
            if not _heals(after, own, self._last):
                self._find("unreadable", path, line, "this is not a line of an audit trail")
            return
        if record.prev != self._last:
            self._find(*_misplaced(path, position, record.prev, own, where))
        if isinstance(record, AuditEvent):
            self._tell(record, path, line)

    def _tell(self, event: AuditEvent, path: Path, line: int) -> None:
        if event.event == "begin" and line > 1:
            self._find("inserted", path, line, "a file begins in the middle of a file")
        elif event.event == "gap":
            text = f"{event.lines} lines were lost since {event.since}: {escaped(event.text)}"
            self._find("gap", path, line, text, fault=False)
        elif event.event == "heal":
            cut = ", the last of them cut off" if event.after else ""
            text = f"a process ended while it wrote {event.lines} lines before this{cut}"
            self._find("heal", path, line, text, fault=False)
        elif event.event == "broken":
            self._find("broken", path, line, f"found at a start: {escaped(event.text)}")

    def _check_head(self, newest: int) -> None:
        head, path = self._head, self._trail.head
        if not isinstance(head, Head) or head.v != VERSION:
            how = "is damaged" if head is not None else "is missing"
            self._find("head", path, 0, f"it {how}: lines may be missing at the end")
            return
        if newest != head.file:
            self._find("head", path, 0, f"it says that file {head.file} is written, not {newest}")
        if self._given is not None:
            pass
        elif self._first > head.first:
            text = f"files {head.first} to {self._first - 1} are missing"
            self._find("missing-file", path, 0, text)
        elif self._first < head.first:
            text = (
                f"it says that files before {head.first} were removed: file {self._first} is there"
            )
            self._find("head", path, 0, text)
        elif head.first > 1:
            text = f"files before number {head.first} were removed, as mesh.yaml keeps no more"
            self._find("dropped", path, 0, text, fault=False)
        active = self._trail.active
        if head.lines > self._total:
            missing = head.lines - self._total
            lines = "1 line is" if missing == 1 else f"{missing} lines are"
            self._find("cut", active, 0, f"{lines} missing at the end")
        elif self._hashes.get(head.lines, head.hash) != head.hash:
            line = self._report.lines - (self._total - head.lines)
            text = f"the last line that was counted (the {line}th here) is not this one any more"
            self._find("changed", active, 0, text)
        elif head.lines < self._total and not self._catches_up(self._total):
            text = (
                f"{self._total - head.lines} lines at the end are not counted: somebody else put "
                "them there, or the process was killed while it wrote (it says so when it starts "
                "again)"
            )
            self._find("inserted", active, 0, text)
        elif self._torn and not self._catches_up(self._total + 1):
            text = "the last line is cut: by hand, or in a crash (the service says so at its start)"
            self._find("cut", active, 0, text)

    def _catches_up(self, lines: int) -> bool:
        """Whether a writer is at work, who counts so many lines soon."""
        for _ in range(ATTEMPTS):
            head = _head(self._trail)
            if isinstance(head, Head) and head.lines >= lines:
                return True
            time.sleep(self._patience / ATTEMPTS)
        return False

    def _check_anchor(self, anchor: Anchor) -> None:
        path = self._trail.active
        found = self._hashes.get(anchor.lines)
        if anchor.lines > self._total:
            self._find("anchor", path, 0, f"{self._total} lines, {anchor.lines} by the anchor")
        elif found is None:
            self._find(
                "anchor", path, 0, f"line {anchor.lines} of the anchor is not there any more"
            )
        elif found != anchor.hash:
            text = f"line {anchor.lines} is another one than at the time of the anchor"
            self._find("anchor", path, 0, text)


def _record(raw: bytes) -> AuditLine | AuditEvent | None:
    """A line as what it is; None when it is none."""
    try:
        event = msgspec.json.decode(raw, type=_Event).event
        if event in CALL_EVENTS:
            line: AuditLine | AuditEvent = msgspec.json.decode(raw, type=AuditLine)
        elif event in TRAIL_EVENTS:
            line = msgspec.json.decode(raw, type=AuditEvent)
        else:
            return None
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return line if line.v == VERSION else None


class _Event(msgspec.Struct):
    event: str


def _heals(record: AuditLine | AuditEvent | None, cut: str, last: str) -> bool:
    """Whether a line says of the cut one before it that a crash cut it, after the line `last`."""
    return (
        isinstance(record, AuditEvent)
        and record.event in ("heal", "broken")
        and record.prev == cut
        and record.after == last
    )


def _misplaced(
    path: Path, position: int, prev: str, own: str, where: dict[str, int]
) -> tuple[str, Path, int, str]:
    """What is wrong with a line that does not follow the one before it."""
    line, follows = position + 1, where.get(prev)
    if where[own] < position:
        return "doubled", path, line, f"this line stands here again: it is line {where[own] + 1}"
    if follows is not None and follows >= position:
        return "moved", path, line, f"this line stands before line {follows + 1}, which it follows"
    if follows is not None:
        text = f"this line follows line {follows + 1}: what stands between does not belong there"
        return "inserted", path, line, text
    if position == 0:
        return "changed", path, 1, "this file does not follow the one before: lines there differ"
    return "changed", path, position, "this line was changed, or lines after it were cut out"
