"""What is wrong with a contract: the place, the matter, and what to write instead."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
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

    @property
    def excerpt(self) -> str:
        """The line and a caret below the column, as two lines; "" where the file is not at hand."""
        if not self.line or not self.column:
            return ""
        try:
            if Path(self.file).stat().st_size > _LARGEST:
                return ""
            lines = Path(self.file).read_bytes().decode("utf-8", errors="replace").split("\n")
        except OSError:
            return ""
        if self.line > len(lines):
            return ""
        line = lines[self.line - 1].rstrip()
        first = max(0, self.column - 1 - _WIDEST // 2)
        shown = line[first : first + _WIDEST]
        if not shown.strip() or not all(c.isprintable() or c == "\t" for c in shown):
            return ""
        before = shown[: self.column - 1 - first]
        return f"{shown}\n{''.join(map(_blank, before))}^"


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

    @property
    def shown(self) -> str:
        """As `str`, with the line in question and a caret below the place."""
        head, *hint = str(self).split("\n    do: ", 1)
        excerpt = "".join(f"\n    | {line}" for line in self.place.excerpt.split("\n") if line)
        return f"{head}{excerpt}" + "".join(f"\n    do: {text}" for text in hint)


class ContractsError(MeshpactError):
    """The contracts cannot be compiled, or break a rule; `faults` are sorted by place."""

    exit_code: Final = 1

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = tuple(sorted(set(faults)))
        count = len(self.faults)
        lines = [f"the contracts have {count} {'fault' if count == 1 else 'faults'}:"]
        super().__init__("\n".join([*lines, *(fault.shown for fault in self.faults)]))


class WrongUse(MeshpactError):
    """A command was asked for something it cannot do: what was found, what to do."""

    exit_code: Final = 2


def _blank(character: str) -> str:
    """What takes as much room on a screen as the character, and shows nothing."""
    if character == "\t":
        return character
    return "  " if unicodedata.east_asian_width(character) in ("F", "W") else " "


_LARGEST: Final = 1_000_000
"""Bytes of a source that a line is shown from."""
_WIDEST: Final = 160
"""Characters of a line that are shown."""
