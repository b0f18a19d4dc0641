"""Who may call what: callers of a mesh against its methods, by the guard's own decisions."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from meshpact.contracts.access.mesh import AccessMesh
from meshpact.contracts.access.methods import AccessMethod
from meshpact.interceptors.call import EndUser
from meshpact.interceptors.policy import EndUserRule
from meshpact.mesh import names
from meshpact.mesh.model import Subject

NOBODY: Final = "spiffe://any-other.invalid/workload"
"""Stands for a workload without bindings."""

_USERS: Final = 4
"""Rows from this order on are users and groups."""
ANY_USER: Final = "any user"
MORE: Final = "and"
NAMES: Final = 5
"""Callers that are named where all of a kind are meant; of more, their number."""


class Grant(Enum):
    """What a caller may do with a method, the least first."""

    NO = "no"
    WITH = "with"
    """A workload: with an end user behind it whose roles suffice. A user or group: behind certain
    workloads only."""
    OBSERVED = "observed"
    """Access would refuse, and is only observed."""
    YES = "yes"
    """A workload: by itself. A user or group: behind any workload."""


class Kind(Enum):
    """What stands in a row."""

    WORKLOAD = "workload"
    PATTERN = "pattern"
    """All workloads below a path."""
    USER = "user"
    GROUP = "group"
    OTHER = "other"
    """A workload that no binding names."""


@dataclass(frozen=True, order=True)
class Row:
    """A caller. `id` is a SPIFFE ID, a prefix of them, or the name of a user or a group at
    `issuer`."""

    kind: Kind = field(compare=False)
    order: int
    name: str
    id: str
    issuer: str = ""


@dataclass(frozen=True)
class Cell:
    """What one caller may do with one method. `partners` are the users and groups, or the
    workloads, that WITH means: the names of their rows."""

    grant: Grant
    partners: tuple[str, ...] = ()


@dataclass(frozen=True)
class Matrix:
    """Rows and columns in the order in which people look for them."""

    rows: tuple[Row, ...]
    methods: tuple[AccessMethod, ...]
    cells: dict[tuple[Row, str], Cell]
    """By row and the name of the method."""

    def cell(self, row: Row, method: str) -> Cell:
        """What one caller may do."""
        return self.cells[row, method]


def matrix_of(
    mesh: AccessMesh,
    rows: Sequence[Row],
    methods: Sequence[AccessMethod],
    *,
    several: bool | None = None,
) -> Matrix:
    """The matrix of these callers and methods; addresses are not looked at.

    What stands behind a caller (a user, a workload) may be any that mesh.yaml binds; `several` as
    in `rows_of`.
    """
    everyone = [(row, _standing(mesh, row)) for row in rows_of(mesh, several=several)]
    standings = [_standing(mesh, row) for row in rows]
    cells: dict[tuple[Row, str], Cell] = {}
    for method in methods:
        judge = _Judge(mesh, method, everyone)
        for row, standing in zip(rows, standings, strict=True):
            cells[row, method.name] = judge.cell(row, standing)
    return Matrix(tuple(rows), tuple(methods), cells)


def rows_of(mesh: AccessMesh, *, several: bool | None = None) -> Iterator[Row]:
    """All callers that mesh.yaml or its bindings_file bind or deny, and one that nobody names.

    `several`: users are called by their issuer, too (None: where the mesh has several).
    """
    services = mesh.config.services
    for name, service in services.items():
        yield Row(Kind.WORKLOAD, 0, name, service.id)
    known = {service.id for service in services.values()}
    bound = sorted({*mesh.bindings.workloads, *mesh.config.denied.workloads} - known)
    for workload in bound:
        if not workload.endswith(names.ANY):
            yield Row(Kind.WORKLOAD, 1, workload, workload)
    for workload in bound:
        if workload.endswith(names.ANY):
            yield Row(Kind.PATTERN, 2, workload, workload)
    yield Row(Kind.OTHER, 3, "any other workload", NOBODY)
    several = len(mesh.config.issuers) > 1 if several is None else several
    for kind, order, subjects in (
        (Kind.USER, 4, mesh.bindings.users),
        (Kind.GROUP, 5, mesh.bindings.groups),
    ):
        for subject in sorted(subjects, key=lambda each: (each.issuer, each.name)):
            yield Row(kind, order, _spelled(kind, subject, several), subject.name, subject.issuer)


def _spelled(kind: Kind, subject: Subject, several: bool) -> str:
    at = f" at {subject.issuer}" if several else ""
    return f"{kind.value} {subject.name}{at}"


def _standing(mesh: AccessMesh, row: Row) -> object:
    """What decisions hang on: kind, roles, and whether the workload is denied."""
    bindings = mesh.bindings
    if row.order < _USERS:
        denied = bindings.denied.refuses(row.id, -1)
        return "workload", bindings.roles_of_workload(row.id), denied
    subject = row.id if row.kind is Kind.USER else ""
    groups = frozenset({row.id}) if row.kind is Kind.GROUP else frozenset[str]()
    return "user", bindings.roles_of_user(row.issuer, subject, groups)


class _Judge:
    """Decides on one method. Callers with the same standing are decided once."""

    def __init__(
        self,
        mesh: AccessMesh,
        method: AccessMethod,
        everyone: Sequence[tuple[Row, object]],
    ) -> None:
        from meshpact.contracts.access.assumed import Assumed  # late: it takes the whole guard

        self._access = method.policy.access
        self._assumed = Assumed(method, mesh.bindings)
        self._known: dict[object, Cell] = {}
        self._workloads = _one_each(each for each in everyone if each[0].order < _USERS)
        self._users = _one_each(each for each in everyone if each[0].order >= _USERS)

    def cell(self, row: Row, standing: object) -> Cell:
        """What one caller may do with the method."""
        cell = self._known.get(standing)
        if cell is None:
            cell = self._workload(row) if row.order < _USERS else self._user(row)
            self._known[standing] = cell
        return cell

    def _workload(self, row: Row) -> Cell:
        alone = self._assumed.decide(row.id)
        if alone.decision == "allow":
            return Cell(Grant.YES)
        partners: list[str] = []
        if self._access.end_user is not EndUserRule.NONE:
            anybody = self._assumed.decide(row.id, self._anybody()).decision
            decisions = [
                (alike, self._assumed.decide(row.id, self._end_user(user)).decision)
                for user, alike in self._users
            ]
            if anybody == "would_deny" or any(found == "would_deny" for _, found in decisions):
                return Cell(Grant.OBSERVED)
            if anybody == "allow":
                partners = [ANY_USER]
            else:
                partners = [
                    name for names, found in decisions if found == "allow" for name in names
                ]
        if alone.decision == "would_deny":
            return Cell(Grant.OBSERVED, tuple(partners))
        return Cell(Grant.WITH if partners else Grant.NO, tuple(partners))

    def _user(self, row: Row) -> Cell:
        if self._access.unauthenticated:
            return Cell(Grant.YES)
        if self._access.end_user is EndUserRule.NONE:
            return Cell(Grant.NO)
        user = self._end_user(row)
        other = self._assumed.decide(NOBODY, user).decision
        if other != "deny":
            return Cell(Grant.YES if other == "allow" else Grant.OBSERVED)
        partners = tuple(
            each
            for workload, alike in self._workloads
            if self._assumed.decide(workload.id, user).decision == "allow"
            for each in alike
        )
        return Cell(Grant.WITH if partners else Grant.NO, partners)

    def _end_user(self, row: Row) -> EndUser:
        return EndUser(
            issuer=row.issuer,
            subject=row.id if row.kind is Kind.USER else "",
            audience=frozenset(),
            scopes=self._access.scopes,
            groups=frozenset({row.id}) if row.kind is Kind.GROUP else frozenset(),
            expires=math.inf,
        )

    def _anybody(self) -> EndUser:
        return self._end_user(Row(Kind.USER, 4, "", "", ""))


def _one_each(standings: Iterable[tuple[Row, object]]) -> list[tuple[Row, list[str]]]:
    """Of callers that are decided alike the first, and the names of all of them, or of some."""
    alike: dict[object, list[Row]] = {}
    for row, standing in standings:
        alike.setdefault(standing, []).append(row)
    return [(rows[0], _names(rows)) for rows in alike.values()]


def _names(rows: Sequence[Row]) -> list[str]:
    names = [row.name for row in rows[:NAMES]]
    return names if len(rows) <= NAMES else [*names, f"{MORE} {len(rows) - NAMES} more"]
