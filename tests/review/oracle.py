"""What calls really become when the old and the new guard are run on them. Nothing here looks at
what a review finds."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from meshpact.interceptors.keys import FileKeys
from meshpact.interceptors.policy import Access, MethodPolicy
from meshpact.interceptors.tokens import Issuer, Tokens
from meshpact.testing.roles import StaticRoles
from review import guardworld
from review.guardworld import Caller, Contracts, Guarded, Token, Ways, ways

Flip = tuple[str, str, str]
"""A method, what decides (access, network, tokens, size, rate, concurrency, validation), and what
calls become: refused or accepted."""

AUDIENCE: Final = "shop.example"
OWN: Final = "spiffe://acme.example/own"
MOST: Final = 5000
"""Calls of one trial of a rate at most."""
PAD: Final = b"\xc2\xf8\x1e"
"""The key of a field that no message has: 63208, a text."""


# Policies: with any bindings there may be ---------------------------------------------------------


class Policies:
    """A method on both sides, under guards of the same world."""

    def __init__(self, name: str, old: Contracts, new: Contracts) -> None:
        self.name = name
        self._sides = old, new
        self.policies = tuple(side.spec(name, bare=True).policy for side in (old, new))

    def flips(self) -> Iterator[Flip]:
        """What becomes of calls by access, size, rate and concurrency."""
        one, two = self.policies
        if one == two:
            return  # two guards of one policy
        for kind, found in (
            ("access", self._access(one.access, two.access)),
            ("size", self._size(one, two)),
            ("rate", self._rate(one, two)),
            ("concurrency", self._concurrency(one, two)),
        ):
            yield from ((self.name, kind, way) for way in found)

    def _pair(self, roles: Mapping[str, tuple[str, ...]]) -> tuple[Guarded, Guarded]:
        """Both guards, where each workload and each user has the roles given."""
        bindings = StaticRoles(
            {spiffe_id(name): held for name, held in roles.items()}, users=dict(roles)
        )
        old, new = (
            Guarded(side, self.name, bindings=bindings, tokens=_tokens()) for side in self._sides
        )
        return old, new

    def _access(self, one: Access, two: Access) -> Ways:
        roles = roles_of(one, two)
        holders = {f"holder-{n}": held for n, held in enumerate(_subsets(roles))}
        old, new = self._pair(holders)
        return ways(old.lets_in, new.lets_in, list(_callers(holders, one, two)))

    def _size(self, one: MethodPolicy, two: MethodPolicy) -> Ways:
        limits = {one.request_bytes, two.request_bytes}
        if len(limits) == 1:
            return set()
        old, new = self._pair({})
        sizes = sorted({limit + step for limit in limits for step in (-1, 0, 1)})
        return ways(
            lambda size: not _too_large(old, size), lambda size: not _too_large(new, size), sizes
        )

    def _rate(self, one: MethodPolicy, two: MethodPolicy) -> Ways:
        """Bursts and even paces of one caller, of several, and of several users behind one or
        several; each begins with nothing counted."""
        if one.rate == two.rate:
            return set()
        rates = [each.rate for each in (one, two) if each.rate is not None]
        burst = max(rate.burst for rate in rates)
        paces = {0.0, *(r.per / r.requests * (1 + e) for r in rates for e in (0, 1e-6))}
        found: Ways = set()
        for crowd, pace in itertools.product(_crowds(one.access, two.access), sorted(paces)):
            pair = self._pair(_everything(one.access, two.access))
            if len(found) == 2:
                break
            for number in range(min(burst * 8 + 5, MOST)):
                caller = crowd[number % len(crowd)]
                before, after = (each.begins(caller, 1e6 + number * pace) for each in pair)
                if before != after:
                    found.add("accepted" if after else "refused")
                    break
        return found

    def _concurrency(self, one: MethodPolicy, two: MethodPolicy) -> Ways:
        if one.concurrency == two.concurrency:
            return set()
        most = max(each.concurrency or 0 for each in (one, two))
        pair = self._pair(_everything(one.access, two.access))
        caller = _crowds(one.access, two.access)[0][0]
        found: Ways = set()
        for number in range(most + 1):
            before, after = (each.begins(caller, 1e6 * (number + 2), runs_on=True) for each in pair)
            if before != after:
                found.add("accepted" if after else "refused")
        return found


def roles_of(*accesses: Access) -> list[str]:
    """All roles that are asked for."""
    return sorted({r for a in accesses for r in a.roles | a.workload_roles | a.user_roles})


def _everything(*accesses: Access) -> dict[str, tuple[str, ...]]:
    """Two who hold all roles."""
    return dict.fromkeys(("first", "second"), tuple(roles_of(*accesses)))


def _tokens() -> Tokens:
    keys = FileKeys(guardworld.keys())
    issuer = Issuer(guardworld.ISSUER, keys, frozenset({AUDIENCE}), frozenset({"ES256"}))
    return Tokens([issuer], audience=OWN)


def spiffe_id(name: str) -> str:
    """The SPIFFE ID of a workload by its name."""
    return f"spiffe://{guardworld.DOMAIN}/{name}"


def _subsets(items: Sequence[str]) -> list[tuple[str, ...]]:
    sizes = range(len(items) + 1)
    return [each for size in sizes for each in itertools.combinations(items, size)]


def _audiences(one: Access, two: Access) -> list[tuple[str, ...]]:
    named = sorted({one.audience, two.audience} - {""})
    single = [AUDIENCE, OWN, *named, "elsewhere"]
    return [*((each,) for each in single), *itertools.combinations(single[:-1], 2)]


def _callers(holders: Mapping[str, tuple[str, ...]], one: Access, two: Access) -> Iterator[Caller]:
    """Nobody, and each workload, alone and with each user; those who hold most with every kind of
    token."""
    scopes = sorted(one.scopes | two.scopes)
    everywhere = tuple(sorted({AUDIENCE, OWN, one.audience, two.audience} - {""}))
    names = list(holders)
    best, least = names[-1], names[0]
    workloads = ["", *map(spiffe_id, names)]
    for workload in workloads:
        yield Caller(workload)
        for name in names:
            for bound in dict.fromkeys(("", workload)):
                yield Caller(workload, Token(name, everywhere, tuple(scopes), bound=bound))
    for workload, user in itertools.product((best, least), (best, least)):
        own = spiffe_id(workload)
        for audience in _audiences(one, two):
            for bound in ("", own, spiffe_id("elsewhere")):
                for given in (tuple(scopes), ()):
                    yield Caller(own, Token(user, audience, given, bound=bound))
        for given in _subsets(scopes):
            for bound in ("", own):
                yield Caller(own, Token(user, everywhere, given, bound=bound))


def _crowds(one: Access, two: Access) -> list[list[Caller]]:
    """Groups of callers that all access lets in: who shares a count, and who does not."""
    scopes = tuple(sorted(one.scopes | two.scopes))
    audience = tuple(sorted({AUDIENCE, OWN, one.audience, two.audience} - {""}))

    def caller(workload: str, user: str = "") -> Caller:
        own = spiffe_id(workload)
        token = Token(user, audience, scopes, bound=own) if user else None
        return Caller(own, token)

    alone = [[caller("first")], [caller("first"), caller("second")]]
    users = [
        [caller("first", "first")],
        [caller("first", "first"), caller("first", "second")],
        [caller("first", "first"), caller("second", "first")],
        [caller("first", "first"), caller("second", "second")],
    ]
    return [*users, *alone]


def _too_large(guarded: Guarded, size: int) -> bool:
    """Whether a request of so many bytes is refused for its size: it is padded by a field that no
    message has."""
    head = size - len(PAD)
    width = next(n for n in range(1, 6) if head - n < 2 ** (7 * n))
    room, length = head - width, bytearray()
    for index in range(width):
        length.append((room >> (7 * index)) & 0x7F | (0x80 if index < width - 1 else 0))
    return guarded.refusal(PAD + bytes(length) + b"x" * room) == "MESSAGE_TOO_LARGE"


# Rules: requests that are tried -------------------------------------------------------------------


def validation(
    old: Contracts, new: Contracts, bodies: Mapping[str, Sequence[bytes]]
) -> Iterator[Flip]:
    """What becomes of requests, by method."""
    for name, tried in bodies.items():
        pair = [Guarded(side, name, bindings=StaticRoles(), bare=False) for side in (old, new)]
        for way in ways(pair[0].accepts, pair[1].accepts, tried):
            yield name, "validation", way
