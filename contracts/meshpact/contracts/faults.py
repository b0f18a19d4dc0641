"""What is wrong with a contract: the place, the matter, and what to write instead."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from meshpact.interceptors.errors import MeshpactError


@dataclass(frozen=True, order=True)
class Place:
    """A place in a source file; line and column count from 1, 0 means unknown."""

    file: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        return ":".join([self.file, *(str(n) for n in (self.line, self.column) if n)])


@dataclass(frozen=True, order=True)
class Fault:
    """One fault. `subject` is the method, enum value or service it is about, "" for none."""

    place: Place
    subject: str
    message: str
    remedy: str = ""

    def __str__(self) -> str:
        about = f"{self.subject}: " if self.subject else ""
        hint = f"\n    do: {self.remedy}" if self.remedy else ""
        return f"{self.place}: {about}{self.message}{hint}"

    def shown(self, lines: Sequence[str]) -> str:
        """As `str`, with the line in question and a caret below the place; `lines` are the file."""
        head, *hint = str(self).split("\n    do: ", 1)
        excerpt = "".join(f"\n    | {line}" for line in _excerpt(self.place, lines))
        return f"{head}{excerpt}" + "".join(f"\n    do: {text}" for text in hint)


class ContractsError(MeshpactError):
    """The contracts cannot be compiled, or break a rule; `faults` are sorted by place."""

    exit_code: Final = 2

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = tuple(sorted(set(faults)))
        count = len(self.faults)
        lines = [f"the contracts have {count} {'fault' if count == 1 else 'faults'}:"]
        texts = {file: _source(file) for file in {fault.place.file for fault in self.faults}}
        lines += [fault.shown(texts[fault.place.file]) for fault in self.faults]
        super().__init__("\n".join(lines))


class WrongUse(MeshpactError):
    """A command was asked for something it cannot do: what was found, what to do."""

    exit_code: Final = 2


def _source(file: str) -> list[str]:
    """The lines of a source; none where it is not at hand, or too large to be read for this."""
    try:
        if Path(file).stat().st_size > _LARGEST:
            return []
        return Path(file).read_bytes().decode("utf-8", errors="replace").split("\n")
    except (OSError, ValueError):
        return []


def _excerpt(place: Place, lines: Sequence[str]) -> list[str]:
    """The line of a place and a caret below its column; nothing where there is none to show."""
    if not place.line or not place.column or place.line > len(lines):
        return []
    line = lines[place.line - 1].rstrip()
    first = max(0, place.column - 1 - _WIDEST // 2)
    shown = line[first : first + _WIDEST]
    if not shown.strip() or not all(c.isprintable() or c == "\t" for c in shown):
        return []
    before = shown[: place.column - 1 - first]
    return [shown, "".join(map(_blank, before)) + "^"]


def _blank(character: str) -> str:
    """What takes as much room on a screen as the character, and shows nothing."""
    if character == "\t":
        return character
    return "  " if unicodedata.east_asian_width(character) in ("F", "W") else " "


_LARGEST: Final = 10_000_000
"""Bytes of a source that a line is shown from."""
_WIDEST: Final = 160
"""Characters of a line that are shown."""
