"""Role bindings said in code, for tests that need no mesh.yaml."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from meshpact.certs.identity import Subscribers
from meshpact.mesh.denials import NONE, Denials


class StaticRoles:
    """Who holds which role: a source of bindings for a Guard.

    `workloads` maps SPIFFE IDs to roles, `users` and `groups` the names that any issuer gives.
    `observed` roles and methods (`package.Service/Method`) are in `mode: observe`. `set` replaces
    the workloads while a server runs, as a reload of mesh.yaml does.
    """

    def __init__(
        self,
        workloads: Mapping[str, Iterable[str]] | None = None,
        *,
        users: Mapping[str, Iterable[str]] | None = None,
        groups: Mapping[str, Iterable[str]] | None = None,
        observed: Iterable[str] = (),
        observed_methods: Iterable[str] = (),
    ) -> None:
        self._subscribers = Subscribers()
        self.current = _Bindings(
            _frozen(workloads),
            _frozen(users),
            _frozen(groups),
            frozenset(observed),
            frozenset(observed_methods),
        )
        """The bindings in force."""

    def set(self, workloads: Mapping[str, Iterable[str]]) -> None:
        """Replaces who holds which role among the workloads."""
        self.current = replace(self.current, workloads=_frozen(workloads))
        self._subscribers.tell()

    def deny(self, *workloads: str, serials: Iterable[int] = ()) -> None:
        """Replaces who is denied: SPIFFE IDs, prefixes that end in `/*`, serials; none: nobody."""
        self.current = replace(self.current, denied=Denials(workloads, serials))
        self._subscribers.tell()

    def subscribe(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Runs `callback` after each change, until what is returned is called."""
        return self._subscribers.add(callback)


@dataclass(frozen=True)
class _Bindings:
    workloads: Mapping[str, frozenset[str]]
    users: Mapping[str, frozenset[str]]
    groups: Mapping[str, frozenset[str]]
    observed: frozenset[str]
    observed_methods: frozenset[str]
    denied: Denials = NONE

    @property
    def version(self) -> object:
        return self

    def observes(self, method: str, /) -> bool:
        return method in self.observed_methods

    def roles_of_workload(self, spiffe_id: str, /) -> frozenset[str]:
        return self.workloads.get(spiffe_id, frozenset())

    def roles_of_user(self, issuer: str, user: str, groups: frozenset[str], /) -> frozenset[str]:
        return self.users.get(user, frozenset[str]()).union(
            *(self.groups.get(group, frozenset[str]()) for group in groups)
        )


def _frozen(roles: Mapping[str, Iterable[str]] | None) -> dict[str, frozenset[str]]:
    return {name: frozenset(held) for name, held in (roles or {}).items()}
