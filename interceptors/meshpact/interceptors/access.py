"""Who may call: role bindings against the roles and scopes that a policy demands."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from meshpact.interceptors import errors
from meshpact.interceptors.call import EndUser
from meshpact.interceptors.errors import StatusError
from meshpact.interceptors.policy import Access


class Bindings(Protocol):
    """Who holds which role (`meshpact.mesh.bindings.RoleBindings`)."""

    @property
    def observed(self) -> frozenset[str]:
        """Roles in `mode: observe`: their absence is noted, not refused."""
        ...

    def roles_of_workload(self, spiffe_id: str, /) -> frozenset[str]:
        """The roles of a workload."""
        ...

    def roles_of_user(self, user: str, groups: frozenset[str], /) -> frozenset[str]:
        """The roles of an end user, by name and by group."""
        ...


class BindingsSource(Protocol):
    """Gives the bindings of this moment; a reload swaps them by one assignment."""

    @property
    def current(self) -> Bindings:
        """The bindings in force."""
        ...


WOULD_DENY: Final = "would_deny"

Check = Callable[[str, EndUser | None], "StatusError | str | None"]
"""(workload, end user) -> None to allow, WOULD_DENY to allow under observation, or the refusal."""


def compile_access(access: Access, source: BindingsSource | None) -> Check | None:
    """The access check of one method; None when nothing is demanded."""
    roles, scopes = access.roles, access.scopes
    if not roles and not scopes:
        return None
    names = ", ".join(sorted(roles))

    def check(workload: str, user: EndUser | None) -> StatusError | str | None:
        verdict: str | None = None
        if roles:
            bindings = source.current if source is not None else None
            if bindings is None:
                return _role_missing(names)
            if roles.isdisjoint(bindings.roles_of_workload(workload)) and (
                user is None or roles.isdisjoint(bindings.roles_of_user(user.subject, user.groups))
            ):
                if roles.isdisjoint(bindings.observed):
                    return _role_missing(names)
                verdict = WOULD_DENY
        if scopes and (user is None or not scopes <= user.scopes):
            return _scope_missing(scopes - (user.scopes if user else frozenset()))
        return verdict

    return check


def _role_missing(names: str) -> StatusError:
    return StatusError(
        errors.ROLE_MISSING.code,
        f"Permission denied: none of the caller's roles is allowed here (one of: {names})",
        reason=errors.ROLE_MISSING.name,
        domain=errors.DOMAIN,
        metadata={"roles": names},
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
