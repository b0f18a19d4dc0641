"""Edits that are right beyond doubt: a line that says nothing goes. Files are written whole."""

from __future__ import annotations

import re
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from meshpact.certs.files import write_whole
from meshpact.contracts.lint.waivers import MARK
from meshpact.contracts.lint.walk import Found

_ALONE: Final = re.compile(
    rf"""\s*(?:
        import\s+"[^"]+"\s*;
      | errors\s*:\s*"[^"]*"\s*[,;]?
      | //\s*{MARK}\b.*
    )\s*""",
    re.VERBOSE,
)
_BEHIND: Final = re.compile(rf"(?P<kept>.*?\S)\s*//\s*{MARK}\b.*", re.DOTALL)


@dataclass(frozen=True, order=True)
class Fixed:
    """One edit that was made: the rule, where, the line before, and what is left of it."""

    file: str
    line: int
    rule: str
    before: str
    after: str

    def __str__(self) -> str:
        lines = [f"{self.file}:{self.line}: mended {self.rule}", f"    - {self.before.strip()}"]
        return "\n".join([*lines, *([f"    + {self.after.strip()}"] if self.after else [])])


def fix(found: Iterable[Found]) -> tuple[Fixed, ...]:
    """Make the edits; a finding whose line holds anything else stays."""
    by_file: dict[str, list[Found]] = {}
    for each in found:
        if each.delete:
            by_file.setdefault(each.finding.file, []).append(each)
    return tuple(sorted(edit for file, each in by_file.items() for edit in _fix(file, each)))


def _fix(file: str, found: list[Found]) -> list[Fixed]:
    path = Path(file).resolve()  # what a link leads to
    lines = re.findall(r"[^\n]*\n|[^\n]+", path.read_bytes().decode("utf-8", "surrogateescape"))
    edits: list[Fixed] = []
    for each in sorted(found, key=lambda one: -one.delete):
        before = lines[each.delete - 1]
        after = _mended(before)
        if after is not None:
            edits.append(Fixed(file, each.delete, each.finding.rule, before, after))
            lines[each.delete - 1] = after
    if edits:
        write_whole(
            path,
            "".join(lines).encode("utf-8", "surrogateescape"),
            stat.S_IMODE(path.stat().st_mode),
        )
    return edits


def _mended(line: str) -> str | None:
    """What is left of a line; None when it cannot be told beyond doubt."""
    if _ALONE.fullmatch(line):
        return ""
    body = line.rstrip("\r\n")
    if behind := _BEHIND.fullmatch(body):
        return behind["kept"] + line[len(body) :]
    return None
