"""The log of what a CA issued: JSON lines that are only ever added to, flushed before use.

A certificate leaves the CA only after its line is on disk; so the log knows every live one.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec

from meshpact.certs.errors import CaError
from meshpact.certs.files import PRIVATE_FILE

Event = Literal["issued", "root", "intermediate", "prepared", "activated", "retired", "mended"]

Moment = Annotated[datetime, msgspec.Meta(tz=True)]

_READ: Final = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_ADD: Final = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
_MENDED: Final = "mended"


class Entry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line. Times are in UTC; what does not apply to an event is left out."""

    v: int = 0
    """Version of the line's form: 1."""
    time: Moment
    """When it was written."""
    event: Event
    """`issued`: a leaf; `root`, `intermediate`: a CA certificate; the steps of a rotation;
    `mended`: the unreadable line before is what a crash left of a write, and counts for nothing.
    """
    root: str = ""
    """SHA-256 of the root above the certificate, or of the root that a step is about."""
    id: str = ""
    dns: str = ""
    serial: str = ""
    """In hexadecimal, without leading zeros."""
    not_before: Moment | None = None
    not_after: Moment | None = None
    forced: tuple[str, ...] = ()
    """Who a forced step of a rotation may have cut off."""


class Leaf(msgspec.Struct, frozen=True):
    """What was issued to one ID under one root: when last, and until when any of it is valid."""

    issued: datetime
    not_after: datetime


class IssuanceLog:
    """The log in one file. `append` only while the CA's lock is held."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._offset = 0
        self._lines = 0
        self._doubtful = 0
        self._owners: dict[str, str] = {}
        self._leaves: dict[tuple[str, str], Leaf] = {}

    def owner(self, dns: str) -> str | None:
        """The ID that a DNS name was issued to, None when it never was."""
        self._catch_up()
        return self._owners.get(dns)

    def live(self, now: datetime) -> dict[tuple[str, str], Leaf]:
        """What is valid at `now`, by SPIFFE ID and SHA-256 of the root."""
        self._catch_up()
        return {key: leaf for key, leaf in self._leaves.items() if leaf.not_after > now}

    def append(self, entry: Entry) -> None:
        """Adds a line and flushes it to disk. CaError `log` when that cannot be done."""
        self._catch_up()
        data = _line(entry)
        with self._named("written"):
            descriptor = os.open(self.path, _ADD, PRIVATE_FILE)
            try:
                size = os.fstat(descriptor).st_size
                open_end = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
                if open_end or self._doubtful:
                    mended = Entry(v=1, time=datetime.now(UTC), event=_MENDED)
                    data = b"\n" * open_end + _line(mended) + data
                rest = memoryview(data)
                while rest:
                    rest = rest[os.write(descriptor, rest) :]
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

    def entries(self) -> Iterator[Entry]:
        """Every line in order, the mended ones left out."""
        other = IssuanceLog(self.path)
        yield from other._new_entries()

    def _catch_up(self) -> None:
        for entry in self._new_entries():
            if entry.event != "issued" or entry.not_after is None:
                continue
            self._owners.setdefault(entry.dns, entry.id)
            key = (entry.id, entry.root)
            known = self._leaves.get(key)
            self._leaves[key] = Leaf(
                max(entry.time, known.issued) if known else entry.time,
                max(entry.not_after, known.not_after) if known else entry.not_after,
            )

    def _new_entries(self) -> Iterator[Entry]:
        """What was added since the last time.

        A last line that is unreadable or has no end is what a crash left: nothing was issued by it.
        """
        for line in self._new_lines():
            self._lines += 1
            try:
                entry = msgspec.json.decode(line, type=Entry)
            except (msgspec.DecodeError, UnicodeDecodeError):
                self._doubtful = self._doubtful or self._lines
                continue
            if entry.event == _MENDED:
                self._doubtful = 0
                continue
            if self._doubtful:
                raise self._damaged()
            yield entry

    def _new_lines(self) -> Iterator[bytes]:
        with self._named("read"):
            try:
                descriptor = os.open(self.path, _READ)
            except FileNotFoundError:
                if self._offset:
                    raise self._cut() from None
                return
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode):
                os.close(descriptor)
                raise CaError("log", f"{self.path} is no file: move away what stands there")
            with os.fdopen(descriptor, "rb") as file:
                if found.st_size < self._offset:
                    raise self._cut()
                file.seek(self._offset)
                for line in file:
                    if not line.endswith(b"\n"):
                        return
                    self._offset += len(line)
                    yield line

    def _cut(self) -> CaError:
        return CaError(
            "log",
            f"{self.path} is shorter than it was: lines are only ever added to it. Put the right "
            "file back, else names may be issued twice",
        )

    def _damaged(self) -> CaError:
        return CaError(
            "log",
            f"{self.path}:{self._doubtful}: the line is not readable: nothing is issued by a CA "
            "that does not know what it issued before. Put the right file back",
        )

    @contextmanager
    def _named(self, done: str) -> Generator[None]:
        try:
            yield
        except OSError as error:
            raise CaError(
                "log",
                f"{self.path} cannot be {done} ({error.strerror}): nothing is issued without a "
                "line in it",
            ) from None

    def __repr__(self) -> str:
        return f"IssuanceLog({self.path})"


def _line(entry: Entry) -> bytes:
    return msgspec.json.encode(entry) + b"\n"
