"""Who holds which role: the role bindings of mesh.yaml and its bindings_file, compiled for lookup.

What is looked up for a call costs the same for ten bindings and for a hundred thousand.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping
from pathlib import Path
from typing import Final

from meshpact.mesh import names
from meshpact.mesh.bindingsfile import Binding, lines_of
from meshpact.mesh.denials import NONE, Denials
from meshpact.mesh.model import MeshConfig, Method, Mode, Role, Subject
from meshpact.mesh.subjects import resolved

_NONE: Final[frozenset[str]] = frozenset()
_STEP: Final = 500
_Table = dict[str, frozenset[str]]
_NOBODY: Final[_Table] = {}


class RoleBindings:
    """The compiled role bindings, immutable. Holders of a role hold the roles it includes, too."""

    __slots__ = (
        "_groups",
        "_modes",
        "_prefixes",
        "_users",
        "_workloads",
        "denied",
        "known",
        "observed",
        "version",
    )

    def __init__(
        self,
        *,
        workloads: _Table,
        prefixes: _Table,
        users: dict[str, _Table],
        groups: dict[str, _Table],
        known: frozenset[str],
        observed: frozenset[str],
        modes: Mapping[str, Mode],
        denied: Denials = NONE,
    ) -> None:
        self._workloads = workloads
        self._prefixes = prefixes
        self._users = users
        self._groups = groups
        self._modes = modes
        self.known = known
        """All roles that mesh.yaml has."""
        self.observed = observed
        """The roles in `mode: observe`: lacking one is reported, not refused."""
        self.denied = denied
        """Who is refused whatever roles they hold."""
        self.version = object()
        """Stands for these bindings with whoever remembers what it found by them."""

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

    def roles_of_user(self, issuer: str, user: str, groups: frozenset[str]) -> frozenset[str]:
        """The roles of an end user by issuer, subject and groups, as a verified token has them."""
        held = self._users.get(issuer, _NOBODY).get(user, _NONE)
        if groups and (known := self._groups.get(issuer)):
            for group in groups:
                if more := known.get(group):
                    held |= more
        return held

    def observes(self, method: str) -> bool:
        """Whether access to `package.Service/Method` is in `mode: observe`.

        What mesh.yaml says of the method counts before what it says of `package.Service/*`.
        """
        modes = self._modes
        mode = modes.get(method) or modes.get(method.rpartition("/")[0] + names.ANY)
        return mode is Mode.OBSERVE

    @property
    def workloads(self) -> Iterable[str]:
        """All SPIFFE IDs bound, and all prefixes, which end in `/*`."""
        yield from self._workloads
        for prefix in self._prefixes:
            yield prefix + names.ANY

    @property
    def users(self) -> Iterable[Subject]:
        """All end users bound."""
        return _subjects(self._users)

    @property
    def groups(self) -> Iterable[Subject]:
        """All groups bound."""
        return _subjects(self._groups)

    def dissolving(self) -> Generator[None, None, None]:
        """Empties the tables in steps, for an owner who alone still holds these bindings: letting
        go of a hundred thousand at once would take some milliseconds."""
        for table in (
            self._workloads,
            self._prefixes,
            *self._users.values(),
            *self._groups.values(),
        ):
            while table:
                for _ in range(min(_STEP, len(table))):
                    table.popitem()
                yield

    def __repr__(self) -> str:
        return f"RoleBindings({len(self.known)} roles)"


def compiling(config: MeshConfig) -> Generator[None, None, RoleBindings]:
    """Compiles in steps of less than a millisecond: each `yield` is a moment to do something else.

    Returns the bindings. MeshFileError lists what is wrong in the bindings_file.
    """
    builder = _Builder(config)
    for role in config.roles.items():
        builder.add_role(*role)
        yield
    if config.bindings_file is not None:
        yield from lines_of(Path(config.bindings_file), config, builder.add_line)
    return builder.built(config.methods, Denials.compile(config.denied))


def finish(steps: Generator[None, None, RoleBindings]) -> RoleBindings:
    """Takes all steps of `compiling` at once."""
    while True:
        try:
            next(steps)
        except StopIteration as done:
            bindings: RoleBindings = done.value
            return bindings


class _Builder:
    def __init__(self, config: MeshConfig) -> None:
        self._issuers = [issuer.issuer for issuer in config.issuers]
        self._roles = config.roles
        self._held = {name: closure(name, config.roles) for name in config.roles}
        # A hundred thousand holders hold a handful of different sets.
        self._interned: dict[frozenset[str], frozenset[str]] = {}
        self._workloads: _Table = {}
        self._prefixes: _Table = {}
        self._users: dict[str, _Table] = {}
        self._groups: dict[str, _Table] = {}

    def add_role(self, name: str, role: Role) -> None:
        for workload in role.workloads:
            self._add_workload(name, workload)
        for table, entries in ((self._users, role.users), (self._groups, role.groups)):
            for entry in entries:
                subject = resolved(entry, self._issuers)
                self._add(table.setdefault(subject.issuer, {}), name, subject.name)

    def add_line(self, binding: Binding) -> None:
        if binding.workload:
            self._add_workload(binding.role, binding.workload)
        elif binding.user:
            self._add(self._users.setdefault(binding.issuer, {}), binding.role, binding.user)
        else:
            self._add(self._groups.setdefault(binding.issuer, {}), binding.role, binding.group)

    def built(self, methods: Mapping[str, Method], denied: Denials) -> RoleBindings:
        return RoleBindings(
            workloads=self._workloads,
            prefixes=self._prefixes,
            users=self._users,
            groups=self._groups,
            known=frozenset(self._roles),
            observed=frozenset(
                name for name, role in self._roles.items() if role.mode is Mode.OBSERVE
            ),
            modes={name: method.mode for name, method in methods.items()},
            denied=denied,
        )

    def _add_workload(self, role: str, workload: str) -> None:
        if workload.endswith(names.ANY):
            self._add(self._prefixes, role, workload.removesuffix(names.ANY))
        else:
            self._add(self._workloads, role, workload)

    def _add(self, table: _Table, role: str, subject: str) -> None:
        held = self._held[role]
        before = table.get(subject)
        both = held if before is None else before | held
        table[subject] = self._interned.setdefault(both, both)


def closure(name: str, roles: Mapping[str, Role]) -> frozenset[str]:
    """A role and all that it includes, at any depth."""
    found: set[str] = set()
    waiting = [name]
    while waiting:
        role = waiting.pop()
        if role not in found:
            found.add(role)
            waiting.extend(roles[role].includes)
    return frozenset(found)


def _subjects(table: Mapping[str, Mapping[str, frozenset[str]]]) -> Iterable[Subject]:
    for issuer, held in table.items():
        for name in held:
            yield Subject(issuer=issuer, name=name)
