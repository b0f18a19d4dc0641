"""Who may call: role bindings against the roles and scopes that a policy demands.

All that a policy demands must hold. In `mode: observe`, of a role or of the method, what does not
hold is reported and the call goes on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from meshpact.interceptors import errors
from meshpact.interceptors.call import EndUser
from meshpact.interceptors.errors import StatusError
from meshpact.interceptors.policy import Access
from meshpact.mesh.denials import NONE, Denials


class Bindings(Protocol):
    """Who holds which role (`meshpact.mesh.roles.RoleBindings`)."""

    @property
    def version(self) -> object:
        """Stands for these bindings alone; to remember it keeps nothing else in memory."""
        ...

    @property
    def observed(self) -> frozenset[str]:
        """Roles in `mode: observe`: their absence is noted, not refused."""
        ...

    @property
    def denied(self) -> Denials:
        """Who is refused whatever roles they hold."""
        ...

    def observes(self, method: str, /) -> bool:
        """Whether a method, `package.Service/Method`, is in `mode: observe`."""
        ...

    def roles_of_workload(self, spiffe_id: str, /) -> frozenset[str]:
        """The roles of a workload."""
        ...

    def roles_of_user(self, issuer: str, user: str, groups: frozenset[str], /) -> frozenset[str]:
        """The roles of an end user of an issuer, by subject and by group."""
        ...


class BindingsSource(Protocol):
    """Gives the bindings of this moment; a reload swaps them by one assignment."""

    @property
    def current(self) -> Bindings:
        """The bindings in force."""
        ...

    def subscribe(self, callback: Callable[[], None], /) -> Callable[[], None]:
        """Runs `callback` after each swap, until what is returned is called."""
        ...


WOULD_DENY: Final = "would_deny"
"""The decision on a call that is let through under observation."""

Check = Callable[[str, EndUser | None], "StatusError | str | None"]
"""(workload, end user) -> None to allow, the refusal, or under observation its reason alone."""


@dataclass(frozen=True, slots=True)
class Condition:
    """One demand of a policy; `name` as in policy.proto: roles, workload_roles, user_roles, scopes.

    `wanted` is what is demanded: of roles one, of scopes all.
    """

    name: str
    wanted: frozenset[str]
    holds: Callable[[Bindings, str, EndUser | None], bool]
    """(bindings, workload, end user) -> whether they meet it."""

    def refusal(self, user: EndUser | None) -> StatusError:
        """What a caller is told who does not meet it."""
        if self.name == "scopes":
            return _scope_missing(self.wanted - (user.scopes if user else frozenset()))
        return _role_missing(self.name, ", ".join(sorted(self.wanted)))

    def observed(self, bindings: Bindings) -> bool:
        """Whether one of its roles is in `mode: observe`."""
        return self.name != "scopes" and not self.wanted.isdisjoint(bindings.observed)


def conditions(access: Access) -> tuple[Condition, ...]:
    """The demands of a policy in the order in which they are looked at."""
    found: list[Condition] = []
    if roles := access.roles:
        found.append(
            Condition(
                "roles",
                roles,
                lambda bindings, workload, user: (
                    not roles.isdisjoint(bindings.roles_of_workload(workload))
                    or (user is not None and not roles.isdisjoint(_of_user(bindings, user)))
                ),
            )
        )
    if workload_roles := access.workload_roles:
        found.append(
            Condition(
                "workload_roles",
                workload_roles,
                lambda bindings, workload, _: (
                    not workload_roles.isdisjoint(bindings.roles_of_workload(workload))
                ),
            )
        )
    if user_roles := access.user_roles:
        found.append(
            Condition(
                "user_roles",
                user_roles,
                lambda bindings, _, user: (
                    user is not None and not user_roles.isdisjoint(_of_user(bindings, user))
                ),
            )
        )
    if scopes := access.scopes:
        found.append(
            Condition(
                "scopes", scopes, lambda _, __, user: user is not None and scopes <= user.scopes
            )
        )
    return tuple(found)


def compile_access(access: Access, source: BindingsSource | None, method: str = "") -> Check | None:
    """The access check of one method, `package.Service/Method`; None when nothing is demanded."""
    demands = conditions(access)
    if not demands:
        return None
    known = source if source is not None else _NOBODY

    def check(workload: str, user: EndUser | None) -> StatusError | str | None:
        bindings = known.current
        verdict: str | None = None
        for condition in demands:
            if not condition.holds(bindings, workload, user):
                refusal = condition.refusal(user)
                if not (condition.observed(bindings) or bindings.observes(method)):
                    return refusal
                verdict = verdict or refusal.reason
        return verdict

    roles = access.roles
    if not roles or len(demands) > 1:
        return check

    def check_roles(workload: str, user: EndUser | None) -> StatusError | str | None:
        if not roles.isdisjoint(known.current.roles_of_workload(workload)):
            return None
        return check(workload, user)

    return check_roles


def _of_user(bindings: Bindings, user: EndUser) -> frozenset[str]:
    return bindings.roles_of_user(user.issuer, user.subject, user.groups)


class _Nobody:
    """Bindings where there are none: nobody holds a role, nothing is observed."""

    observed: frozenset[str] = frozenset()
    denied: Denials = NONE
    version = object()

    @property
    def current(self) -> _Nobody:
        return self

    def subscribe(self, _: Callable[[], None], /) -> Callable[[], None]:
        return lambda: None

    def observes(self, _method: str, /) -> bool:
        return False

    def roles_of_workload(self, _spiffe_id: str, /) -> frozenset[str]:
        return frozenset()

    def roles_of_user(self, _issuer: str, _user: str, _: frozenset[str], /) -> frozenset[str]:
        return frozenset()


_NOBODY: Final = _Nobody()

_WHOSE: Final = {
    "roles": "none of the caller's roles",
    "workload_roles": "none of the calling workload's own roles",
    "user_roles": "none of the end user's roles",
}


def _role_missing(condition: str, names: str) -> StatusError:
    return StatusError(
        errors.ROLE_MISSING.code,
        f"Permission denied: {_WHOSE[condition]} is allowed here (one of: {names})",
        reason=errors.ROLE_MISSING.name,
        domain=errors.DOMAIN,
        metadata={"condition": condition, "roles": names},
    )


def _scope_missing(missing: frozenset[str]) -> StatusError:
    scopes = " ".join(sorted(missing))
    return StatusError(
        errors.SCOPE_MISSING.code,
        f"Permission denied: the end user's token lacks the scope {scopes}",
        reason=errors.SCOPE_MISSING.name,
        domain=errors.DOMAIN,
        metadata={"scopes": scopes},
    )
