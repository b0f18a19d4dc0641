"""Whether any call at all is decided anew by another access: every caller there may be, by which of
the roles, scopes and audiences in question it has.

Roles that stand in the same lists on both sides are alike, so one stands for them.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from meshpact.contracts.review.valuesets import Way
from meshpact.interceptors.policy import Access, EndUserRule

_LISTS: Final = ("roles", "workload_roles", "user_roles")
_MOST_ROLES: Final = 5
"""Roles that are not alike; with more it is not looked at: 2 ** 10 callers and more."""
_MESH: Final = ""
"""Stands for an audience of mesh.yaml."""
_BOTH: Final = Way.TIGHTER | Way.LOOSER


@dataclass(frozen=True)
class _User:
    roles: frozenset[str]
    scopes: frozenset[str]
    audience: frozenset[str]
    bound: bool


def access_ways(old: Access, new: Access) -> Way:
    """Whether some call is refused that was let in, and the other way round."""
    roles = _unlike(old, new)
    if len(roles) > _MOST_ROLES:
        return _BOTH
    held = [frozenset(each) for each in _subsets(roles)]
    users: list[_User | None] = [None]
    users += [
        _User(frozenset(given), scopes, audience, bound)
        for given in held
        for scopes in _some(old.scopes, new.scopes)
        for audience in _some({old.audience}, {new.audience})
        for bound in (False, True)
    ]
    way = Way.SAME
    for workload, user in itertools.product((None, *held), users):
        before, after = _lets_in(old, workload, user), _lets_in(new, workload, user)
        if before and not after:
            way |= Way.TIGHTER
        elif after and not before:
            way |= Way.LOOSER
        if way == _BOTH:
            break
    return way


def _unlike(old: Access, new: Access) -> list[str]:
    lists = [frozenset[str](getattr(each, name)) for each in (old, new) for name in _LISTS]
    kinds = {tuple(role in each for each in lists): role for role in frozenset[str]().union(*lists)}
    return sorted(kinds.values())


def _subsets(items: Sequence[str]) -> Iterator[tuple[str, ...]]:
    for size in range(len(items) + 1):
        yield from itertools.combinations(items, size)


def _some(one: set[str] | frozenset[str], two: set[str] | frozenset[str]) -> list[frozenset[str]]:
    """Both sides' names, either's, and none."""
    return list(dict.fromkeys(map(frozenset, (one | two, one, two, ()))))


def _lets_in(access: Access, workload: frozenset[str] | None, user: _User | None) -> bool:
    """As the guard decides; `workload` None: a caller without identity."""
    if access.unauthenticated:
        return True
    if workload is None:
        return False
    if access.end_user is EndUserRule.NONE:
        user = None
    elif user is None:
        if access.end_user is EndUserRule.REQUIRED:
            return False
    elif (access.audience or _MESH) not in user.audience or (access.bound_token and not user.bound):
        return False
    of_user = user.roles if user is not None else frozenset[str]()
    return (
        (not access.roles or not access.roles.isdisjoint(workload | of_user))
        and (not access.workload_roles or not access.workload_roles.isdisjoint(workload))
        and (not access.user_roles or not access.user_roles.isdisjoint(of_user))
        and (not access.scopes or (user is not None and access.scopes <= user.scopes))
    )
