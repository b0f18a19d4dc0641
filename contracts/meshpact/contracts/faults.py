"""What is wrong with a contract: the place, the matter, and what to write instead."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
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


class ContractsError(MeshpactError):
    """The contracts cannot be compiled, or break a rule; `faults` are sorted by place."""

    exit_code: Final = 1

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = tuple(sorted(set(faults)))
        count = len(self.faults)
        lines = [f"the contracts have {count} {'fault' if count == 1 else 'faults'}:"]
        super().__init__("\n".join([*lines, *(str(fault) for fault in self.faults)]))


class WrongUse(MeshpactError):
    """A command was asked for something it cannot do: what was found, what to do."""

    exit_code: Final = 2
