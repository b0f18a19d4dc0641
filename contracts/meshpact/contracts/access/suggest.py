"""The least role bindings that explain what audit files show, and those that nothing used.

Least means: of all ways to give each caller what it used, the one that opens the fewest other
methods, then the one with the fewest bindings. What a trail does not show is said aloud: allowed
calls of methods that audit denials only, groups, and users that mesh.yaml does not name.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Final

from meshpact.contracts.access.holders import Held, bindings_of, holder_of
from meshpact.contracts.access.mesh import AccessMesh
from meshpact.contracts.access.methods import AccessMethod
from meshpact.contracts.access.trail import Traffic, Use
from meshpact.interceptors.audit import user_hash
from meshpact.interceptors.call import EndUser
from meshpact.interceptors.policy import AuditLevel
from meshpact.mesh import names
from meshpact.mesh.model import Subject
from meshpact.mesh.roles import closure

EXACT: Final = 12
"""Roles among which all choices are compared; among more, one is taken after the other."""

_Roles = frozenset[str]


@dataclass(frozen=True)
class Unused:
    """A present binding that the traffic does not need. `seen` says that it was used where less
    would do. `hidden` are methods that it alone opens and whose allowed calls leave no line: where
    there are some, it may have been used for them, and is to stay."""

    held: Held
    seen: bool
    hidden: tuple[str, ...] = ()


@dataclass(frozen=True)
class Suggestion:
    """`roles` has the holders of each role as mesh.yaml writes them: SPIFFE IDs or patterns, and
    Subjects of users; `groups` are kept as they are, nobody sees them in a trail."""

    roles: Mapping[str, Sequence[str | Subject]]
    unused: tuple[Unused, ...]
    blind: tuple[str, ...]
    """Methods whose allowed calls leave no line in the trail."""
    unexplained: tuple[str, ...]
    """Sentences about uses that no binding of a workload or a known user explains."""


def suggest(mesh: AccessMesh, traffic: Traffic) -> Suggestion:
    """What bindings the traffic of a mesh needs."""
    return _Suggesting(mesh, traffic).result()


class _Suggesting:
    def __init__(self, mesh: AccessMesh, traffic: Traffic) -> None:
        self._mesh = mesh
        self._traffic = traffic
        self._bindings = list(bindings_of(mesh))
        asked = {role for method in mesh.methods.values() for role in _asked(method)}
        roles = mesh.config.roles
        self._closures: dict[str, _Roles] = {
            **{role: frozenset({role}) for role in asked},
            **{role: closure(role, roles) for role in roles},
        }
        self._opens = {
            role: frozenset(name for name, method in mesh.methods.items() if held & _asked(method))
            for role, held in self._closures.items()
        }
        self._users = {user_hash(_user(subject)): subject for subject in mesh.bindings.users}

    def result(self) -> Suggestion:
        needs: dict[str | Subject, dict[str, list[_Roles]]] = defaultdict(lambda: defaultdict(list))
        unexplained: list[str] = []
        for use in self._traffic.uses:
            method = self._mesh.methods.get(use.method)
            if method is None:
                unexplained.append(f"{use.method}: no contract has this method")
                continue
            for holder, wanted in self._needs(use, method):
                if holder is None:
                    unexplained.append(
                        f"{use.method}: a user or a group that the trail does not name held one of "
                        f"{', '.join(sorted(wanted))} (behind {use.workload or 'no workload'})"
                    )
                else:
                    needs[holder][use.method].append(wanted)
        chosen: dict[str, list[str | Subject]] = defaultdict(list)
        for holder, methods in needs.items():
            for role in self._least(methods):
                for entry in self._written(holder, role):
                    if entry not in chosen[role]:
                        chosen[role].append(entry)
        blind = tuple(
            name
            for name, method in self._mesh.methods.items()
            if method.policy.audit is not AuditLevel.ALL and _asked(method)
        )
        return Suggestion(
            {role: sorted(chosen[role], key=str) for role in sorted(chosen)},
            tuple(self._unused(chosen, frozenset(blind))),
            blind,
            tuple(sorted(set(unexplained))),
        )

    def _needs(
        self, use: Use, method: AccessMethod
    ) -> Iterator[tuple[str | Subject | None, _Roles]]:
        """Who must hold one of which roles for a use; None: somebody whom the trail hides."""
        access = method.policy.access
        user = self._users.get(use.user_hash)
        if access.workload_roles and use.workload:
            yield use.workload, access.workload_roles
        if access.user_roles and use.user_hash:
            yield user, access.user_roles
        if access.roles and use.workload:
            bindings = self._mesh.bindings
            if not access.roles.isdisjoint(bindings.roles_of_workload(use.workload)):
                yield use.workload, access.roles
            elif user is not None and not access.roles.isdisjoint(
                bindings.roles_of_user(user.issuer, user.name, frozenset())
            ):
                yield user, access.roles
            elif use.user_hash and use.decision == "allow":
                yield None, access.roles
            else:
                yield use.workload, access.roles

    def _least(self, methods: Mapping[str, Sequence[_Roles]]) -> list[str]:
        """The roles that open these methods and the fewest others."""
        demands = {wanted for each in methods.values() for wanted in each}
        candidates = [
            role
            for role in sorted(self._closures)
            if any(self._closures[role] & wanted for wanted in demands)
        ]
        used = frozenset(methods)

        def meets(roles: Iterable[str]) -> bool:
            held = frozenset[str]().union(*(self._closures[role] for role in roles))
            return all(held & wanted for wanted in demands)

        def cost(roles: Iterable[str]) -> tuple[int, int]:
            opened = frozenset[str]().union(*(self._opens[role] for role in roles))
            return len(opened - used), len(list(roles))

        if len(candidates) <= EXACT:
            choices: Iterator[tuple[str, ...]] = (
                choice
                for size in range(1, len(demands) + 1)
                for choice in combinations(candidates, size)
                if meets(choice)
            )
            return list(min(choices, key=cost))
        taken: list[str] = []
        left = set(demands)
        while left:
            best = min(
                (role for role in candidates if any(self._closures[role] & w for w in left)),
                key=lambda role: cost([*taken, role]),
            )
            taken.append(best)
            left = {wanted for wanted in left if not self._closures[best] & wanted}
        return taken

    def _written(self, holder: str | Subject, role: str) -> Iterator[str | Subject]:
        """The entry for a holder: a pattern that mesh.yaml has for this role already, or itself."""
        if isinstance(holder, str):
            for held in self._bindings:
                if held.role == role and _covers(held.holder, holder):
                    yield held.holder
                    return
        yield holder

    def _unused(
        self, chosen: Mapping[str, Sequence[str | Subject]], blind: frozenset[str]
    ) -> Iterator[Unused]:
        used: dict[str, set[str]] = defaultdict(set)
        for use in self._traffic.uses:
            used[use.workload].add(use.method)
            if user := self._users.get(use.user_hash):
                used[holder_of("user", user)].add(use.method)
        opened_by_chosen: dict[str | Subject, set[str]] = defaultdict(set)
        for role, holders in chosen.items():
            for holder in holders:
                opened_by_chosen[holder] |= self._opens[role]
        for held in self._bindings:
            if held.holder.startswith("group ") or held.subject in chosen.get(held.role, ()):
                continue
            opened = self._opens[held.role]
            seen = any(
                opened & methods
                for caller, methods in used.items()
                if caller == held.holder or _covers(held.holder, caller)
            )
            hidden = (opened & blind) - opened_by_chosen[held.subject]
            yield Unused(held, seen, tuple(sorted(hidden)))


def _asked(method: AccessMethod) -> _Roles:
    access = method.policy.access
    return access.roles | access.workload_roles | access.user_roles


def _covers(pattern: str, workload: str) -> bool:
    return pattern.endswith(names.ANY) and workload.startswith(pattern[:-1])


def _user(subject: Subject) -> EndUser:
    nothing = frozenset[str]()
    return EndUser(
        issuer=subject.issuer,
        subject=subject.name,
        audience=nothing,
        scopes=nothing,
        groups=nothing,
        expires=0.0,
    )
