"""Who gains and who loses which methods between two states of a mesh."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from meshpact.contracts.access.matrix import MORE, Cell, Grant, Row, matrix_of, rows_of
from meshpact.contracts.access.mesh import AccessMesh

_LEVELS: Final = {Grant.NO: 0, Grant.WITH: 1, Grant.OBSERVED: 2, Grant.YES: 2}


@dataclass(frozen=True)
class Change:
    """One caller at one method. `kind` is gains, loses, or changes: as much as before, under other
    conditions."""

    kind: str
    caller: Row
    method: str
    before: Cell
    after: Cell


@dataclass(frozen=True)
class NetworkChange:
    """A list of networks (`networks.mesh`) that differs; None: there is none."""

    place: str
    before: tuple[str, ...] | None
    after: tuple[str, ...] | None


@dataclass(frozen=True)
class Difference:
    """All that differs, callers first in the order of the matrix."""

    changes: tuple[Change, ...]
    networks: tuple[NetworkChange, ...]

    def __bool__(self) -> bool:
        return bool(self.changes or self.networks)


def difference(
    old: AccessMesh, new: AccessMesh, moved: Mapping[str, str] | None = None
) -> Difference:
    """What differs between two states; `moved` are the old names of methods by their new ones."""
    moved = moved or {}
    # A user is called the same on both sides, however many issuers each has.
    several = any(len(mesh.config.issuers) > 1 for mesh in (old, new))
    found = (row for mesh in (old, new) for row in rows_of(mesh, several=several))
    rows = sorted({_key(row): row for row in found}.values())
    methods = {*old.methods, *new.methods} - {*moved.values()}
    before = matrix_of(old, rows, list(old.methods.values()), several=several)
    after = matrix_of(new, rows, list(new.methods.values()), several=several)
    nothing = Cell(Grant.NO)
    changes: list[Change] = []
    for row in rows:
        for name in sorted(methods):
            one = before.cells.get((row, moved.get(name, name)), nothing)
            two = after.cells.get((row, name), nothing)
            if one != two:
                changes.append(Change(_kind(one, two), row, name, one, two))
    own = {
        (change.caller.name, change.method)
        for change in changes
        if change.before.grant is not change.after.grant
    }
    told = (change for change in changes if not _follows(change, own))
    return Difference(tuple(told), tuple(_networks(old, new)))


def _key(row: Row) -> tuple[str, str, str]:
    return "workload" if row.order < 4 else row.kind.value, row.id, row.issuer


def _kind(before: Cell, after: Cell) -> str:
    one, two = _LEVELS[before.grant], _LEVELS[after.grant]
    return "changes" if one == two else "gains" if one < two else "loses"


def _follows(change: Change, own: Container[tuple[str, str]]) -> bool:
    """Whether a change says only that others, whose own changes are told, came or went."""
    if change.before.grant is not change.after.grant:
        return False
    return all(
        (name, change.method) in own or name.startswith(f"{MORE} ")
        for name in {*change.before.partners} ^ {*change.after.partners}
    )


def _networks(old: AccessMesh, new: AccessMesh) -> Iterator[NetworkChange]:
    before, after = _lists(old), _lists(new)
    for place in sorted({*before, *after}):
        if before.get(place) != after.get(place):
            yield NetworkChange(place, _list(before, place), _list(after, place))


def _lists(mesh: AccessMesh) -> dict[str, Sequence[str]]:
    networks = mesh.config.networks
    found: dict[str, Sequence[str]] = {}
    if networks.mesh is not None:
        found["networks.mesh"] = networks.mesh
    if networks.trusted_proxies:
        found["networks.trusted_proxies"] = networks.trusted_proxies
    for key, lists in (("services", networks.services), ("methods", networks.methods)):
        for name, cidrs in lists.items():
            found[f"networks.{key}.{name}"] = cidrs
    return found


def _list(lists: Mapping[str, Sequence[str]], place: str) -> tuple[str, ...] | None:
    return tuple(lists[place]) if place in lists else None
