"""Role bindings said in code, for tests that need no mesh.yaml."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace


class StaticRoles:
    """Who holds which role: a source of bindings for a Guard.

    `workloads` maps SPIFFE IDs, `users` and `groups` names, to roles. `set` replaces the workloads
    while a server runs, as a reload of mesh.yaml does.
    """

    def __init__(
        self,
        workloads: Mapping[str, Iterable[str]] | None = None,
        *,
        users: Mapping[str, Iterable[str]] | None = None,
        groups: Mapping[str, Iterable[str]] | None = None,
        observed: Iterable[str] = (),
    ) -> None:
        self.current = _Bindings(
            _frozen(workloads), _frozen(users), _frozen(groups), frozenset(observed)
        )
        """The bindings in force."""

    def set(self, workloads: Mapping[str, Iterable[str]]) -> None:
        """Replaces who holds which role among the workloads."""
        self.current = replace(self.current, workloads=_frozen(workloads))


@dataclass(frozen=True)
class _Bindings:
    workloads: Mapping[str, frozenset[str]]
    users: Mapping[str, frozenset[str]]
    groups: Mapping[str, frozenset[str]]
    observed: frozenset[str]

    def roles_of_workload(self, spiffe_id: str, /) -> frozenset[str]:
        return self.workloads.get(spiffe_id, frozenset())

    def roles_of_user(self, user: str, groups: frozenset[str], /) -> frozenset[str]:
        return self.users.get(user, frozenset[str]()).union(
            *(self.groups.get(group, frozenset[str]()) for group in groups)
        )


def _frozen(roles: Mapping[str, Iterable[str]] | None) -> dict[str, frozenset[str]]:
    return {name: frozenset(held) for name, held in (roles or {}).items()}
