"""What differs between two accesses, by what the guard makes of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Final

from meshpact.contracts.review.accessways import access_ways
from meshpact.contracts.review.model import Delta, Impact
from meshpact.contracts.review.valuesets import Way
from meshpact.interceptors.policy import Access, EndUserRule

_LEVELS: Final = {EndUserRule.NONE: 0, EndUserRule.OPTIONAL: 1, EndUserRule.REQUIRED: 2}
_NEEDED: Final = {Impact.BREAKS: Way.TIGHTER, Impact.WIDENS: Way.LOOSER}
_ROLES: Final = {
    "roles": "",
    "workload_roles": " of the workload itself",
    "user_roles": " of the end user",
}


def access_deltas(old: Access, new: Access) -> Iterator[Delta]:
    """Every difference that lets somebody in or keeps somebody out; a note for what another demand
    makes up for."""
    if old == new:
        return
    ways = access_ways(old, new)
    for delta in _deltas(old, new):
        needed = _NEEDED.get(delta.impact)
        if needed is None or needed & ways:
            yield delta
        else:
            text = f"{delta.message} (other demands leave all calls as they were)"
            yield replace(delta, impact=Impact.NOTE, message=text)


def _deltas(old: Access, new: Access) -> Iterator[Delta]:
    if old.unauthenticated or new.unauthenticated:
        yield from _open_door(old, new)
        return
    for name, whose in _ROLES.items():
        yield from _roles(name, whose, getattr(old, name), getattr(new, name))
    yield from _end_user(old, new)
    yield from _scopes(old.scopes, new.scopes)
    if EndUserRule.NONE not in (old.end_user, new.end_user) and old.audience != new.audience:
        yield from _audience(old.audience, new.audience)
    if old.bound_token != new.bound_token:
        yield (
            _breaks("bound-token-demanded", "bound_token", "the token must be bound to the caller")
            if new.bound_token
            else _widens("bound-token-dropped", "bound_token", "the token need not be bound")
        )


def demands(access: Access) -> str:
    """Who may call, in a few words."""
    if access.unauthenticated:
        return "anyone who reaches the port"
    parts = [
        f"a role{whose} of {_listed(getattr(access, name))}"
        for name, whose in _ROLES.items()
        if getattr(access, name)
    ]
    if access.end_user is EndUserRule.REQUIRED:
        parts.append("an end user's token")
    if access.scopes:
        parts.append(f"the scopes {_listed(access.scopes)}")
    return " and ".join(parts) or "any workload of the mesh"


def _open_door(old: Access, new: Access) -> Iterator[Delta]:
    before, after = demands(old), demands(new)
    if not old.unauthenticated:
        text = f"anyone who reaches the port may call; before: {before}"
        yield _widens("unauthenticated", "unauthenticated", text, before, after)
    elif not new.unauthenticated:
        text = f"anyone could call; now: {after}"
        yield _breaks("authenticated", "roles", text, before, after)
    elif old.unauthenticated != new.unauthenticated:
        yield Delta(
            "unauthenticated-reason",
            Impact.NOTE,
            f"anyone may call, for another reason: {new.unauthenticated}",
            "access.unauthenticated",
            old.unauthenticated,
            new.unauthenticated,
        )


def _roles(name: str, whose: str, old: frozenset[str], new: frozenset[str]) -> Iterator[Delta]:
    before, after = _listed(old), _listed(new)
    if old and not new:
        text = f"no role{whose} is demanded any more; before: {before}"
        yield _widens("role-not-demanded", name, text, before, after)
    elif new and not old:
        yield _breaks(
            "role-demanded", name, f"a role{whose} is demanded now: {after}", before, after
        )
    else:
        for role in sorted(old - new):
            text = f"the role {role}{whose} does not let callers in any more"
            yield _breaks("role-dropped", name, text, before, after)
        for role in sorted(new - old):
            yield _widens(
                "role-added", name, f"the role {role}{whose} lets callers in, too", before, after
            )


def _end_user(old: Access, new: Access) -> Iterator[Delta]:
    one, two = _LEVELS[old.end_user], _LEVELS[new.end_user]
    if one == two:
        return
    before, after = old.end_user.value, new.end_user.value
    if two == _LEVELS[EndUserRule.REQUIRED]:
        yield _breaks(
            "end-user-demanded", "end_user", "an end user's token is demanded now", before, after
        )
    elif one == _LEVELS[EndUserRule.REQUIRED]:
        text = "no end user's token is demanded any more"
        yield _widens("end-user-not-demanded", "end_user", text, before, after)
    elif two:
        text = "a token that comes along must be valid now"
        yield _breaks("end-user-judged", "end_user", text, before, after)
    else:
        text = "a token that comes along is not looked at any more"
        yield _widens("end-user-not-judged", "end_user", text, before, after)
    if not old.roles or not new.roles:
        return
    if not one:
        text = f"end users' roles let calls in, too: {_listed(new.roles)}"
        yield _widens("end-user-roles-count", "end_user", text, before, after)
    elif not two:
        text = f"only the workload's own roles let calls in: {_listed(new.roles)}"
        yield _breaks("end-user-roles-ignored", "end_user", text, before, after)


def _scopes(old: frozenset[str], new: frozenset[str]) -> Iterator[Delta]:
    before, after = _listed(old), _listed(new)
    for scope in sorted(new - old):
        text = f"the scope {scope} is demanded now"
        yield _breaks("scope-demanded", "scopes", text, before, after)
    for scope in sorted(old - new):
        text = f"the scope {scope} is not demanded any more"
        yield _widens("scope-dropped", "scopes", text, before, after)


def _audience(old: str, new: str) -> Iterator[Delta]:
    anyone = "the audiences of mesh.yaml"
    before, after = old or anyone, new or anyone
    refused = f"tokens for {before} are refused, unless they name {after} too"
    accepted = f"tokens for {after} are taken, whether they name {before} or not"
    yield _breaks("audience-refused", "audience", refused, before, after)
    yield _widens("audience-accepted", "audience", accepted, before, after)


def _breaks(rule: str, part: str, text: str, before: str = "", after: str = "") -> Delta:
    return Delta(rule, Impact.BREAKS, text, f"access.{part}", before, after)


def _widens(rule: str, part: str, text: str, before: str = "", after: str = "") -> Delta:
    return Delta(rule, Impact.WIDENS, text, f"access.{part}", before, after)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "none"
