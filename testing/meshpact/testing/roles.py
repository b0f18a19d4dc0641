"""Role bindings said in code, for tests that need no mesh.yaml."""

from __future__ import annotations

from collections.abc import Iterable, Mapping


class StaticRoles:
    """Who holds which role; its own source (`current`), to be handed to a Guard as bindings.

    `workloads` maps SPIFFE IDs, `users` and `groups` names, to roles. The mappings may be replaced
    while a server runs.
    """

    def __init__(
        self,
        workloads: Mapping[str, Iterable[str]] | None = None,
        *,
        users: Mapping[str, Iterable[str]] | None = None,
        groups: Mapping[str, Iterable[str]] | None = None,
        observed: Iterable[str] = (),
    ) -> None:
        self.workloads = _frozen(workloads)
        self.users = _frozen(users)
        self.groups = _frozen(groups)
        self.observed = frozenset(observed)

    @property
    def current(self) -> StaticRoles:
        """The bindings in force: these."""
        return self

    def roles_of_workload(self, spiffe_id: str, /) -> frozenset[str]:
        """The roles of a workload."""
        return self.workloads.get(spiffe_id, frozenset())

    def roles_of_user(self, user: str, groups: frozenset[str], /) -> frozenset[str]:
        """The roles of an end user, by name and by group."""
        return self.users.get(user, frozenset[str]()).union(
            *(self.groups.get(group, frozenset[str]()) for group in groups)
        )


def _frozen(roles: Mapping[str, Iterable[str]] | None) -> dict[str, frozenset[str]]:
    return {name: frozenset(held) for name, held in (roles or {}).items()}
