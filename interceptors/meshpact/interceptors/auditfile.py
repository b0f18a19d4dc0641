"""A hash-chained trail of audit lines in files that rotate by size, beside a head that counts them.

A trail NAME has the files NAME.jsonl, which is written, NAME.000001.jsonl and so on, which are
full, and NAME.head: how many lines there are and the hash of the last. Each line holds the hash of
the one before, across files. `meshpact.interceptors.auditverify` says what that finds.
"""

from __future__ import annotations

import fcntl
import os
import stat
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from meshpact.certs.files import PRIVATE_FILE, private_directory, sync_directory
from meshpact.interceptors.audit import VERSION, AuditEvent, AuditLine, timestamp
from meshpact.interceptors.auditlayout import SUFFIX, Head, Trail, digest
from meshpact.interceptors.errors import MeshpactError

MAX_BYTES: Final = 64 * 1024 * 1024
KEEP: Final = 10
HEAD_BYTES: Final = 256
"""A head always has this size, so that it is written in place even when the disk is full."""
MAX_PROCESSES: Final = 64

Record = AuditLine | AuditEvent


class AuditFileError(MeshpactError):
    """An audit trail cannot be opened; the text says why and what to do."""


class AuditFile:
    """Appends to one trail. For one thread at a time; a second process takes the next name.

    Where the trail is not what the head says, that is written into the trail for all to see, and
    it goes on. Raises AuditFileError when it cannot be opened, OSError where writing fails: then
    nothing was written. Files are 0600 in a directory 0700.
    """

    def __init__(
        self,
        path: Path,
        *,
        service: str = "",
        max_bytes: int = MAX_BYTES,
        keep: int = KEEP,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._service = service or path.name.removesuffix(SUFFIX)
        self._max_bytes = max_bytes
        self._keep = max(2, keep)
        self._wall = wall
        self._file = self._head_file = -1
        self._size = self._lines = 0
        self._number = self._first = 1
        self._prev = ""
        self._dirty = False
        """Whether a write that failed may have left part of a line behind."""
        try:
            private_directory(path.parent)
            self.trail, self._lock = _lock(path)
        except OSError as error:
            raise AuditFileError(f"{path}: {error.strerror or error}") from None
        try:
            self._open()
        except OSError as error:
            self.close()
            raise AuditFileError(
                f"the audit trail {self.trail.active} cannot be opened: "
                f"{error.strerror or type(error).__name__}"
            ) from None

    @property
    def lines(self) -> int:
        """The lines of the trail so far."""
        return self._lines

    @property
    def last(self) -> str:
        """The hash of the last line."""
        return self._prev

    def append(self, records: Sequence[Record]) -> None:
        """Writes all lines, or none and raises OSError. They are safe on disk after `sync`."""
        if self._disturbed():
            self._release()
            self._open()
        elif self._size >= self._max_bytes:
            self._rotate()
        self._append(records)

    def event(
        self, event: str, *, lines: int = 0, since: str = "", text: str = "", after: str = ""
    ) -> AuditEvent:
        """A line about the trail itself."""
        return AuditEvent(
            VERSION,
            timestamp(self._wall),
            event,
            self._service,
            file=self._number,
            lines=lines,
            since=since,
            text=text,
            after=after,
        )

    def sync(self) -> None:
        """Returns when everything is safe on disk: the lines, then the head."""
        os.fdatasync(self._file)
        os.fdatasync(self._head_file)

    def close(self) -> None:
        """Lets go of the trail. Again does no harm."""
        self._release()
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def _append(self, records: Sequence[Record]) -> None:
        prev, data, count = self._prev, bytearray(), 0
        for record in records:
            line = msgspec.json.encode(msgspec.structs.replace(record, prev=prev))
            prev = digest(line)
            data += line
            data += b"\n"
            count += 1
        if self._dirty:
            os.ftruncate(self._file, self._size)
        self._dirty = True
        try:
            _write_all(self._file, data)
            self._note(self._lines + count, prev)
        except OSError:
            os.ftruncate(self._file, self._size)
            self._dirty = False
            raise
        self._dirty = False
        self._prev = prev
        self._lines += count
        self._size += len(data)

    def _note(self, lines: int, last: str) -> None:
        head = Head(lines=lines, hash=last, file=self._number, first=self._first)
        data = msgspec.json.encode(head).ljust(HEAD_BYTES - 1) + b"\n"
        if os.pwrite(self._head_file, data, 0) != len(data):
            raise OSError(28, "the head could not be written whole")

    def _disturbed(self) -> bool:
        if self._file < 0:
            return True
        found = os.fstat(self._file)
        return found.st_nlink == 0 or (found.st_size != self._size and not self._dirty)

    def _open(self) -> None:
        """Finds the end of the trail, and says in it what is not as it was left."""
        trail = self.trail
        faults: list[str] = []
        try:
            head = trail.read_head()
        except ValueError:
            head = None
            faults.append("the head was damaged")
        full = trail.full()
        self._first = full[0][0] if full else 1
        self._number = (full[-1][0] if full else 0) + 1
        active = _Content.of(trail.active)
        last = active if active.data else _Content.of(full[-1][1]) if full else active
        self._lines, self._prev = last.before + last.count, last.last
        extra = 0
        if head is not None:
            self._first = min(head.first, full[0][0]) if full else head.first
            extra = self._lines - head.lines
            if extra < 0:
                faults.append(f"the head counted {head.lines} lines, {self._lines} are there")
            elif head.lines and last.hash_at(head.lines) not in (head.hash, None):
                faults.append(f"line {head.lines} is not the one that the head counted last")
        elif last.data:
            faults.append("there was no head")
            extra = self._lines
        if active.data and not active.begun:
            faults.append(f"{trail.active.name} did not begin as files of a trail do")
        if head is None and not last.data and faults:
            self._first = self._number
        self._head_file = os.open(trail.head, _FLAGS, PRIVATE_FILE)
        os.fchmod(self._head_file, PRIVATE_FILE)
        if active.data:
            self._file = os.open(trail.active, _FLAGS | os.O_APPEND, PRIVATE_FILE)
            self._size = len(active.data)
            self._dirty = False
            if active.torn:
                _write_all(self._file, b"\n")
                self._size += 1
        else:
            self._begin(self._number)
        after = last.whole if last.torn else ""
        if faults:
            found = self.event("broken", lines=max(0, extra), text="; ".join(faults), after=after)
            self._append([found])
        elif extra > 0:
            self._append([self.event("heal", lines=extra, after=after)])
        elif active.data:
            self._note(self._lines, self._prev)
        self.sync()
        sync_directory(trail.folder)

    def _begin(self, number: int) -> None:
        """Puts a new file in place of the one that is written, with its first line in it."""
        begin = self.event("begin", lines=self._lines)
        line = msgspec.json.encode(msgspec.structs.replace(begin, file=number, prev=self._prev))
        coming = self.trail.folder / f".{self.trail.name}.coming"
        opened = os.open(coming, _FLAGS | os.O_APPEND | os.O_TRUNC, PRIVATE_FILE)
        try:
            _write_all(opened, line + b"\n")
            os.fdatasync(opened)
            if self._file >= 0 and self.trail.active.exists():
                self.trail.active.replace(self.trail.numbered(number - 1))
            coming.replace(self.trail.active)
        except OSError:
            os.close(opened)
            coming.unlink(missing_ok=True)
            raise
        if self._file >= 0:
            os.close(self._file)
        self._file, self._size, self._dirty = opened, len(line) + 1, False
        self._number = number
        self._lines += 1
        self._prev = digest(line)
        self._note(self._lines, self._prev)

    def _rotate(self) -> None:
        os.fdatasync(self._file)
        self._prune()
        self._begin(self._number + 1)
        sync_directory(self.trail.folder)

    def _prune(self) -> None:
        """Removes the oldest files, so that with the one to come there are as many as are kept."""
        full = self.trail.full()
        spare = len(full) + 2 - self._keep
        if spare <= 0:
            return
        gone, kept = full[:spare], full[spare:]
        self._first = kept[0][0] if kept else self._number
        self._note(self._lines, self._prev)
        for _, path in gone:
            path.unlink(missing_ok=True)

    def _release(self) -> None:
        for descriptor in (self._file, self._head_file):
            if descriptor >= 0:
                os.close(descriptor)
        self._file = self._head_file = -1


_FLAGS: Final = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class _Content:
    """What one file of a trail holds, as far as its writer must know."""

    data: bytes
    before: int = 0
    """Lines of the trail before the file."""
    count: int = 0
    last: str = ""
    whole: str = ""
    """Hash of the last line but one, which is the last whole one where the last is torn."""
    begun: AuditEvent | None = None

    @classmethod
    def of(cls, path: Path) -> _Content:
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            return cls(b"")
        if not data:
            return cls(b"")
        lines = data.split(b"\n")
        if not lines[-1]:
            lines.pop()
        begun = _begin_line(lines[0])
        before = begun.lines if begun else 0
        whole = digest(lines[-2]) if len(lines) > 1 else ""
        return cls(data, before, len(lines), digest(lines[-1]), whole, begun)

    @property
    def torn(self) -> bool:
        """Whether the last line has no end."""
        return not self.data.endswith(b"\n")

    def hash_at(self, line: int) -> str | None:
        """The hash of a line by its number in the trail; None when it is not in this file."""
        if self.begun is not None and line == self.before:
            return self.begun.prev
        if not self.before < line <= self.before + self.count:
            return None
        return digest(self.data.split(b"\n")[line - self.before - 1])


def _begin_line(line: bytes) -> AuditEvent | None:
    try:
        found = msgspec.json.decode(line, type=AuditEvent)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return found if found.event == "begin" else None


def _lock(path: Path) -> tuple[Trail, int]:
    """The trail of a path, or when another process writes that, the next one: `NAME~2`."""
    stem = path.name.removesuffix(SUFFIX)
    for process in range(1, MAX_PROCESSES + 1):
        trail = Trail(path.parent, stem if process == 1 else f"{stem}~{process}")
        if os.path.lexists(trail.active) and not stat.S_ISREG(trail.active.lstat().st_mode):
            raise OSError(22, "is not a regular file, which an audit trail must be")
        descriptor = os.open(trail.lock, _FLAGS, PRIVATE_FILE)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
        else:
            return trail, descriptor
    raise OSError(11, f"{MAX_PROCESSES} processes write it, as many as may")


def _write_all(descriptor: int, data: bytes | bytearray) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(descriptor, left) :]
