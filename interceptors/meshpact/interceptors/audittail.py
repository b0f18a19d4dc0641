"""What audit trails say, for people: their latest lines, and those to come, in words."""

from __future__ import annotations

import io
import json
import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec

from meshpact.interceptors.audit import CALL_EVENTS, INTENT, AuditEvent, AuditLine, escaped
from meshpact.interceptors.auditlayout import Trail, trails_in

PERIOD: Final = 0.25
"""Seconds between two looks for new lines."""
_DECISIONS: Final = {"allow": "allowed", "deny": "DENIED", "would_deny": "WOULD DENY"}


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a trail; `record` is None for what is no line of an audit trail."""

    trail: str
    raw: bytes
    record: AuditLine | AuditEvent | None

    @property
    def time(self) -> str:
        """When, as the line says; "" when it does not."""
        return self.record.time if self.record is not None else ""

    @property
    def denied(self) -> bool:
        """Whether it tells of a refusal, or of something wrong with the trail."""
        if isinstance(self.record, AuditLine):
            return self.record.decision != "allow"
        return self.record is None or self.record.event != "begin"

    def as_json(self) -> str:
        """The line as it is, in ASCII."""
        if self.record is None:
            return json.dumps({"unreadable": self.raw.decode(errors="backslashreplace")})
        fields: dict[str, Any] = msgspec.json.decode(self.raw)
        return json.dumps(fields)

    def in_words(self) -> str:
        """The line for a person; whatever stands in it, it writes nothing into a terminal."""
        if self.record is None:
            return f"{'':24} {escaped(self.trail)}: not a line of an audit trail"
        where = f"{escaped(self.record.time, 40):24} {escaped(self.record.service):12}"
        if isinstance(self.record, AuditEvent):
            return f"{where} {_event_in_words(self.record)}"
        return f"{where} {_call_in_words(self.record)}"


def latest(
    trails: Iterable[Trail], count: int, wanted: Callable[[Entry], bool] = lambda _: True
) -> list[Entry]:
    """The last `count` wanted lines of all trails, in order of time."""
    found: list[Entry] = []
    for trail in trails:
        newest: deque[Entry] = deque(maxlen=count)
        paths = [*(path for _, path in trail.full()), trail.active]
        for path in reversed(paths):
            lines = [entry for entry in _entries(trail, path) if wanted(entry)]
            newest.extendleft(reversed(lines[-(count - len(newest)) :] if count else []))
            if len(newest) == count:
                break
        found.extend(newest)
    found.sort(key=lambda entry: entry.time)
    return found[-count:] if count else []


class Follower:
    """Gives the lines that are added to the trails of a directory from now on."""

    def __init__(self, folder: Path, wanted: Callable[[Trail], bool] = lambda _: True) -> None:
        self._folder = folder
        self._wanted = wanted
        self._open: dict[Trail, io.BufferedReader] = {}
        self._rest: dict[Trail, bytes] = {}
        for trail in self._trails():
            self._begin(trail).seek(0, io.SEEK_END)

    def new(self) -> list[Entry]:
        """The lines since the last time, in order of time."""
        found: list[Entry] = []
        for trail in self._trails():
            file = self._open.get(trail) or self._begin(trail)
            found.extend(self._read(trail, file))
            if not _same(file, trail.active):
                found.extend(self._read(trail, file))
                file.close()
                found.extend(self._read(trail, self._begin(trail)))
        found.sort(key=lambda entry: entry.time)
        return found

    def follow(self) -> Iterator[Entry]:
        """The same for ever."""
        while True:
            yield from self.new()
            time.sleep(PERIOD)

    def close(self) -> None:
        """Closes the files."""
        for file in self._open.values():
            file.close()

    def _trails(self) -> list[Trail]:
        found = trails_in(self._folder) if self._folder.is_dir() else []
        return [trail for trail in found if self._wanted(trail) and trail.active.exists()]

    def _begin(self, trail: Trail) -> io.BufferedReader:
        self._open[trail] = trail.active.open("rb")
        self._rest[trail] = b""
        return self._open[trail]

    def _read(self, trail: Trail, file: io.BufferedReader) -> Iterator[Entry]:
        *lines, self._rest[trail] = (self._rest[trail] + file.read()).split(b"\n")
        return (_entry(trail, raw) for raw in lines)


def service_of(trail: Trail) -> str:
    """The name of the service (or file) that a trail is of: several processes write several."""
    return trail.name.partition("~")[0]


def _entries(trail: Trail, path: Path) -> list[Entry]:
    try:
        data = path.read_bytes()
    except FileNotFoundError:  # removed meanwhile
        return []
    return [_entry(trail, raw) for raw in data.split(b"\n") if raw]


def _entry(trail: Trail, raw: bytes) -> Entry:
    try:
        event = msgspec.json.decode(raw, type=_Event).event
        kind: type[AuditLine | AuditEvent] = AuditLine if event in CALL_EVENTS else AuditEvent
        return Entry(trail.name, raw, msgspec.json.decode(raw, type=kind))
    except (msgspec.DecodeError, UnicodeDecodeError):
        return Entry(trail.name, raw, None)


class _Event(msgspec.Struct):
    event: str


def _same(file: io.BufferedReader, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return True


def _call_in_words(line: AuditLine) -> str:
    decision = "may run" if line.event == INTENT else _DECISIONS.get(line.decision, "?")
    words = [f"{decision:10}", escaped(line.method.lstrip("/"), 600), "by"]
    words.append(escaped(line.caller, 2048) or "nobody known")
    if line.user_hash:
        words.append(f"for user {escaped(line.user_hash)}")
    reason = ", ".join(escaped(each) for each in (line.reason, line.check, line.code) if each)
    if reason and reason != "OK":
        words.append(f"({reason})")
    if line.peer:
        words.append(f"from {escaped(line.peer)}")
    if line.trace_id:
        words.append(f"trace {escaped(line.trace_id)}")
    return " ".join(words)


def _event_in_words(event: AuditEvent) -> str:
    if event.event == "begin":
        return f"begins file {event.file}, after {event.lines} lines"
    if event.event == "gap":
        return f"LOST {event.lines} lines since {escaped(event.since)}: {escaped(event.text)}"
    if event.event == "heal":
        return f"goes on after a crash: {event.lines} lines before this were not counted"
    return f"{escaped(event.event).upper()}: {escaped(event.text)}"
