"""What is wrong in a file that people write: where, what was found, what is allowed, what to do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Problem:
    """One fault.

    `line` counts from 1 (0: the whole file); `place` is written like `roles.clerk.users[1]`.
    """

    path: Path
    line: int
    place: str
    found: str
    allowed: str
    remedy: str

    def __str__(self) -> str:
        where = f"{self.path}:{self.line}" if self.line else str(self.path)
        text = ": ".join(part for part in (where, self.place, self.found) if part)
        if self.allowed:
            text += f"; allowed: {self.allowed}"
        return f"{text}. {self.remedy}" if self.remedy else text


class MeshFileError(ValueError):
    """A file of the mesh cannot be used. `problems` has every fault found, the first one first."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        if not problems:
            raise ValueError("MeshFileError needs at least one problem")
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))

    @property
    def path(self) -> Path:
        """The file of the first problem."""
        return self.problems[0].path

    @property
    def line(self) -> int:
        """The line of the first problem."""
        return self.problems[0].line


def shown(value: object) -> str:
    """A value as an error message quotes it: on one line, 80 characters at most."""
    text = ascii(value) if isinstance(value, str) else str(value)
    return text if len(text) <= 80 else text[:77] + "..."
