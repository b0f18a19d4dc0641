"""Which files an audit trail has, and where: full ones, the one that is written, and the head."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from meshpact.interceptors.audit import VERSION

SUFFIX: Final = ".jsonl"
_NUMBERED: Final = re.compile(r"(?P<name>.+)\.(?P<number>[0-9]{6,})\.jsonl")


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """What a trail should be: `lines` in all its files and those dropped, the last one's `hash`."""

    v: int = VERSION
    lines: int
    hash: str
    file: int
    """Number of the file that is written."""
    first: int
    """Number of the oldest file that is kept."""


@dataclass(frozen=True, slots=True)
class Trail:
    """Where the files of one trail are."""

    folder: Path
    name: str

    @property
    def active(self) -> Path:
        """The file that is written."""
        return self.folder / f"{self.name}{SUFFIX}"

    @property
    def head(self) -> Path:
        """What counts the lines."""
        return self.folder / f"{self.name}.head"

    @property
    def lock(self) -> Path:
        """Held by the process that writes."""
        return self.folder / f"{self.name}.lock"

    def numbered(self, number: int) -> Path:
        """A full file."""
        return self.folder / f"{self.name}.{number:06d}{SUFFIX}"

    def full(self) -> list[tuple[int, Path]]:
        """The full files by number."""
        found: list[tuple[int, Path]] = []
        for path in self.folder.iterdir():
            match = _NUMBERED.fullmatch(path.name)
            if match and match["name"] == self.name:
                found.append((int(match["number"]), path))
        return sorted(found)

    def read_head(self) -> Head | None:
        """The head; None when there is none. ValueError when it is damaged."""
        try:
            data = self.head.read_bytes()
        except FileNotFoundError:
            return None
        try:
            return msgspec.json.decode(data, type=Head)
        except msgspec.DecodeError as error:
            raise ValueError(str(error)) from None


def trail_of(path: Path) -> tuple[Trail, int]:
    """The trail of a file, and the file's number, 0 for the one that is written."""
    match = _NUMBERED.fullmatch(path.name)
    if match:
        return Trail(path.parent, match["name"]), int(match["number"])
    return Trail(path.parent, path.name.removesuffix(SUFFIX)), 0


def trails_in(folder: Path) -> list[Trail]:
    """The trails of a directory, by name; one of which nothing but the head is left, too."""
    names = {trail_of(path)[0].name for path in folder.glob(f"*{SUFFIX}")}
    names |= {path.name.removesuffix(".head") for path in folder.glob("*.head")}
    return [Trail(folder, name) for name in sorted(names)]


def digest(line: bytes) -> str:
    """What the next line holds of a line (without its end)."""
    return hashlib.sha256(line).hexdigest()
