"""How much of contracts has a comment: every thing that readers of the pages meet is counted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from meshpact.contracts.docs import types
from meshpact.contracts.faults import Place
from meshpact.contracts.model import Contracts, File

KINDS: Final[tuple[str, ...]] = (
    "service",
    "method",
    "message",
    "field",
    "enum",
    "value",
    "reason",
    "option",
)


@dataclass(frozen=True)
class Missing:
    """One thing without a comment."""

    kind: str
    name: str
    place: Place


@dataclass(frozen=True)
class Coverage:
    """What was counted, by kind, and what has no comment."""

    totals: dict[str, int]
    missing: tuple[Missing, ...]

    @property
    def total(self) -> int:
        """All things that were counted."""
        return sum(self.totals.values())

    @property
    def percent(self) -> float:
        """The share that has a comment, cut to one digit; 100 only when nothing is missing."""
        if not self.total:
            return 100.0
        return int((self.total - len(self.missing)) * 1000 / self.total) / 10

    def without(self, kinds: Sequence[str]) -> int:
        """How many things of these kinds have no comment."""
        return sum(each.kind in kinds for each in self.missing)

    def as_json(self) -> dict[str, object]:
        """As `--json` prints it."""
        return {
            "percent": self.percent,
            "total": self.total,
            "commented": self.total - len(self.missing),
            "kinds": {
                kind: {"total": count, "missing": self.without([kind])}
                for kind, count in self.totals.items()
            },
            "missing": [
                {
                    "kind": each.kind,
                    "name": each.name,
                    "file": each.place.file,
                    "line": each.place.line,
                    "column": each.place.column,
                }
                for each in self.missing
            ],
        }


def measure(contracts: Contracts) -> Coverage:
    """The coverage of the user's own contracts."""
    totals: dict[str, int] = dict.fromkeys(KINDS, 0)
    missing: list[Missing] = []
    for file in contracts.files:
        for kind, name, path in _things(file):
            totals[kind] += 1
            if not file.locations.comment(path):
                place = contracts.image.place(file.name, *file.locations.of(path))
                missing.append(Missing(kind, name, place))
    return Coverage(totals, tuple(sorted(missing, key=lambda each: (each.place, each.name))))


def _things(file: File) -> Iterator[tuple[str, str, tuple[int, ...]]]:
    for service in file.services:
        yield "service", service.full_name, service.path
        for method in service.methods:
            yield "method", method.name, method.path
    error_enums = {enum.full_name for enum in file.error_enums}
    maps = types.map_entries(file.proto)
    for name, (_, path) in types.paths(file.proto).items():
        owner, slash, last = name.partition("/")
        if owner in maps:
            continue
        if slash and last == "extension":
            yield "option", owner, path
        elif path[-2] == 2:
            of_enum = len(path) >= 4 and _is_enum(path[:-2])
            kind = "field" if not of_enum else "reason" if owner in error_enums else "value"
            yield kind, f"{owner}.{last}", path
        else:
            yield "enum" if _is_enum(path) else "message", name, path


def _is_enum(path: tuple[int, ...]) -> bool:
    """Whether a descriptor path leads to an enum: 5 in a file, 4 in a message."""
    return path[-2] == (5 if len(path) == 2 else 4)
