"""Who holds which role: the role bindings of mesh.yaml and its bindings_file, compiled for lookup.

A line of the bindings_file is one binding in JSON: `{"role": "...", "workload": "spiffe://..."}`,
or with `user` or `group` instead of `workload`. Names of services stand in mesh.yaml only.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping
from itertools import islice
from pathlib import Path
from typing import Final

import msgspec

from meshpact.certs.spiffe import SpiffeError
from meshpact.mesh import names
from meshpact.mesh.model import MeshConfig, Mode, Role
from meshpact.mesh.problems import MeshFileError, Problem, shown

SLICE: Final = 200
"""Lines of a bindings_file read in one go; in between, an event loop gets its turn."""

MAX_PROBLEMS: Final = 20
"""Faults of a bindings_file that are listed before reading is given up."""

_NONE: Final[frozenset[str]] = frozenset()
_Table = dict[str, frozenset[str]]


class Binding(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One line of a bindings_file: a role, and one of workload, user and group."""

    role: str
    workload: str = ""
    user: str = ""
    group: str = ""


class RoleBindings:
    """The compiled role bindings, immutable. Holders of a role hold the roles it includes, too."""

    __slots__ = ("_groups", "_prefixes", "_users", "_workloads", "known", "observed")

    def __init__(
        self,
        *,
        workloads: Mapping[str, frozenset[str]],
        prefixes: Mapping[str, frozenset[str]],
        users: Mapping[str, frozenset[str]],
        groups: Mapping[str, frozenset[str]],
        known: frozenset[str],
        observed: frozenset[str],
    ) -> None:
        self._workloads = workloads
        self._prefixes = prefixes
        self._users = users
        self._groups = groups
        self.known = known
        """All roles that mesh.yaml has."""
        self.observed = observed
        """The roles in `mode: observe`: lacking one is reported, not refused."""

    @classmethod
    def compile(cls, config: MeshConfig) -> RoleBindings:
        """The bindings of a mesh and its bindings_file. MeshFileError lists what is wrong there."""
        return finish(compiling(config))

    def roles_of_workload(self, spiffe_id: str) -> frozenset[str]:
        """The roles of a workload by its whole SPIFFE ID."""
        held = self._workloads.get(spiffe_id, _NONE)
        if self._prefixes:
            prefix = spiffe_id
            while len(prefix := prefix.rpartition("/")[0]) > len("spiffe://"):
                if more := self._prefixes.get(prefix):
                    held |= more
        return held

    def roles_of_user(self, user: str, groups: frozenset[str]) -> frozenset[str]:
        """The roles of an end user by subject and groups, as a verified token names them."""
        held = self._users.get(user, _NONE)
        if self._groups:
            for group in groups:
                if more := self._groups.get(group):
                    held |= more
        return held

    def __repr__(self) -> str:
        return f"RoleBindings({len(self.known)} roles)"


def compiling(config: MeshConfig) -> Generator[None, None, RoleBindings]:
    """Compiles in small steps: each `yield` is a moment to do something else; returns the bindings.

    MeshFileError lists what is wrong in the bindings_file.
    """
    builder = _Builder(config.roles)
    for role in config.roles.items():
        builder.add_role(*role)
        yield
    if config.bindings_file is not None:
        yield from _read_lines(Path(config.bindings_file), builder)
    return builder.built()


def finish(steps: Generator[None, None, RoleBindings]) -> RoleBindings:
    """Takes all steps of `compiling` at once."""
    while True:
        try:
            next(steps)
        except StopIteration as done:
            bindings: RoleBindings = done.value
            return bindings


class _Builder:
    def __init__(self, roles: Mapping[str, Role]) -> None:
        self._roles = roles
        self._held = {name: _closure(name, roles) for name in roles}
        self._interned: dict[frozenset[str], frozenset[str]] = {}
        self._workloads: _Table = {}
        self._prefixes: _Table = {}
        self._users: _Table = {}
        self._groups: _Table = {}

    def add_role(self, name: str, role: Role) -> None:
        for workload in role.workloads:
            self.add_workload(name, workload)
        self._add_all(self._users, name, role.users)
        self._add_all(self._groups, name, role.groups)

    def add_workload(self, role: str, workload: str) -> None:
        if workload.endswith(names.ANY):
            self._add_all(self._prefixes, role, (workload.removesuffix(names.ANY),))
        else:
            self._add_all(self._workloads, role, (workload,))

    def add_line(self, line: bytes) -> str:
        """Adds one line of a bindings_file; what is wrong with it, or an empty text."""
        try:
            binding = _decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            return f"found {shown(line.decode(errors='replace').strip())}: {error}"
        if binding.role not in self._roles:
            return f"unknown role {shown(binding.role)}"
        if bool(binding.workload) + bool(binding.user) + bool(binding.group) != 1:
            return "found not exactly one of workload, user and group"
        if binding.workload:
            try:
                names.check_workload(binding.workload)
            except SpiffeError as error:
                return str(error)
            self.add_workload(binding.role, binding.workload)
        elif binding.user:
            self._add_all(self._users, binding.role, (binding.user,))
        else:
            self._add_all(self._groups, binding.role, (binding.group,))
        return ""

    def built(self) -> RoleBindings:
        return RoleBindings(
            workloads=self._workloads,
            prefixes=self._prefixes,
            users=self._users,
            groups=self._groups,
            known=frozenset(self._roles),
            observed=frozenset(
                name for name, role in self._roles.items() if role.mode is Mode.OBSERVE
            ),
        )

    def _add_all(self, table: _Table, role: str, subjects: Iterable[str]) -> None:
        held = self._held[role]
        for subject in subjects:
            before = table.get(subject)
            both = held if before is None else before | held
            table[subject] = self._interned.setdefault(both, both)


_decode: Final = msgspec.json.Decoder(Binding).decode


def _read_lines(path: Path, builder: _Builder) -> Generator[None, None, None]:
    problems: list[Problem] = []
    number = 0
    try:
        with path.open("rb") as file:
            while lines := list(islice(file, SLICE)):
                for line in lines:
                    number += 1
                    if line.isspace():
                        continue
                    if fault := builder.add_line(line):
                        problems.append(_line_problem(path, number, fault))
                if len(problems) >= MAX_PROBLEMS:
                    break
                yield
    except OSError as error:
        found = f"cannot be read: {error.strerror or type(error).__name__}"
        problems.append(Problem(path, 0, "", found, "", "Check bindings_file in mesh.yaml"))
    if problems:
        raise MeshFileError(problems[:MAX_PROBLEMS])


def _line_problem(path: Path, number: int, fault: str) -> Problem:
    return Problem(
        path,
        number,
        "",
        fault,
        '{"role": a role of mesh.yaml, "workload": a SPIFFE ID or a prefix of IDs that ends in /*} '
        'or "user" or "group" instead of "workload"',
        "",
    )


def _closure(name: str, roles: Mapping[str, Role]) -> frozenset[str]:
    found: set[str] = set()
    waiting = [name]
    while waiting:
        role = waiting.pop()
        if role not in found:
            found.add(role)
            waiting.extend(roles[role].includes)
    return frozenset(found)
