"""What calls really become when the guards of two meshes are run on them: with the bindings,
networks and issuers that each has."""

from __future__ import annotations

import ipaddress
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from meshpact.interceptors.access import BindingsSource
from meshpact.interceptors.issuers import tokens_for
from meshpact.interceptors.policy import EndUserRule
from meshpact.mesh.config import MeshConfig
from meshpact.mesh.networks import Networks
from meshpact.mesh.roles import RoleBindings
from meshpact.testing.roles import StaticRoles
from review.guardworld import Caller, Contracts, Guarded, Token, ways
from review.oracle import Flip, roles_of, spiffe_id


@dataclass(frozen=True)
class Call:
    """A call that became another, by the names of who stands behind it."""

    method: str
    workload: str
    user: str
    way: str


class Meshes:
    """All methods of one contract under the guards of two meshes."""

    def __init__(
        self, contracts: Contracts, methods: Sequence[str], configs: tuple[MeshConfig, MeshConfig]
    ) -> None:
        self._contracts = contracts
        self._methods = methods
        self._configs = configs

    def bindings(self) -> Iterator[Call]:
        """Calls of everybody whom a mesh names, and of others, with any user behind them."""
        workloads, users = _named(self._configs)
        first = self._configs[0]
        issuer = first.issuers[0]
        for name in self._methods:
            old, new = (
                self._guarded(name, _Fixed(RoleBindings.compile(each)), tokens=first)
                for each in self._configs
            )
            access = old.spec.policy.access
            for (who, workload), (user, said) in itertools.product(
                workloads.items(), users.items()
            ):
                token = said and replace(
                    said,
                    scopes=tuple(sorted(access.scopes)),
                    audience=(access.audience,) if access.audience else issuer.audiences,
                    bound=workload if access.bound_token else "",
                    algorithm=issuer.algorithms[0],
                )
                caller = Caller(workload, token)
                before, after = old.lets_in(caller), new.lets_in(caller)
                if before != after:
                    yield Call(name, who, user, "gains" if after else "loses")

    def networks(self) -> Iterator[Flip]:
        """Calls of somebody who may call, from everywhere."""
        addresses = list(_addresses(self._configs))
        first = self._configs[0]
        for name in self._methods:
            old, new = (
                self._guarded(name, self._open(name), tokens=first, networks=each)
                for each in self._configs
            )
            caller = self._caller(old, first)
            tried = [replace(caller, peer=peer, metadata=pairs) for peer, pairs in addresses]
            for way in ways(old.lets_in, new.lets_in, tried):
                yield name, "network", way

    def tokens(self) -> Iterator[Flip]:
        """Calls of somebody who may call, with tokens for every audience and by every key."""
        named = {a for config in self._configs for i in config.issuers for a in i.audiences}
        for name in self._methods:
            old, new = (
                self._guarded(name, self._open(name), tokens=each) for each in self._configs
            )
            caller = self._caller(old, self._configs[0])
            if caller.token is None:
                continue
            tried = [
                replace(caller, token=replace(caller.token, audience=(each,), algorithm=algorithm))
                for each in sorted({*named, *caller.token.audience, "nowhere"})
                for algorithm in ("ES256", "ES384")
            ]
            for way in ways(old.lets_in, new.lets_in, tried):
                yield name, "tokens", way

    def _guarded(
        self,
        name: str,
        bindings: BindingsSource,
        *,
        tokens: MeshConfig,
        networks: MeshConfig | None = None,
    ) -> Guarded:
        """A method under a guard; without `networks` calls come from anywhere."""
        contract = name.rpartition("/")[0]
        services = self._configs[0].services.items()
        service = next((each for each, said in services if contract in said.serves), "")
        return Guarded(
            self._contracts,
            name,
            bindings=bindings,
            tokens=tokens_for(tokens, service),
            networks=Networks(networks.networks) if networks is not None else None,
            service=service,
        )

    def _open(self, name: str) -> StaticRoles:
        """Bindings by which one workload and one user may call a method."""
        held = roles_of(self._contracts.spec(name, bare=True).policy.access)
        return StaticRoles({spiffe_id("first"): held}, users={"first": held})

    def _caller(self, guarded: Guarded, config: MeshConfig) -> Caller:
        access = guarded.spec.policy.access
        if access.end_user is EndUserRule.NONE:
            return Caller(spiffe_id("first"))
        issuer = config.issuers[0]
        audience = (access.audience,) if access.audience else issuer.audiences
        bound = spiffe_id("first") if access.bound_token else ""
        token = Token("first", audience, tuple(sorted(access.scopes)), (), bound)
        return Caller(spiffe_id("first"), replace(token, algorithm=issuer.algorithms[0]))


class _Fixed:
    """Bindings that nobody changes."""

    def __init__(self, current: RoleBindings) -> None:
        self.current = current

    def subscribe(self, callback: Callable[[], None], /) -> Callable[[], None]:
        return lambda: None


def _named(
    configs: tuple[MeshConfig, MeshConfig],
) -> tuple[dict[str, str], dict[str, Token | None]]:
    """Workloads by what a review calls them, and users."""
    workloads = {name: each.id for config in configs for name, each in config.services.items()}
    users: dict[str, Token | None] = {"": None, "anybody": Token("anybody", ())}
    for config in configs:
        bound = {w for role in config.roles.values() for w in role.workloads}
        for each in sorted({*bound, *config.denied.workloads} - {*workloads.values()}):
            workloads[each] = f"{each.removesuffix('*')}any" if each.endswith("/*") else each
        for role in config.roles.values():
            for user in role.users:
                name = getattr(user, "name", "")
                users[f"user {name}"] = Token(name, ())
            for group in role.groups:
                name = getattr(group, "name", "")
                users[f"group {name}"] = Token("anybody", (), groups=(name,))
    workloads["any other workload"] = spiffe_id("any-other")
    return workloads, users


def _addresses(
    configs: tuple[MeshConfig, MeshConfig],
) -> Iterator[tuple[str, tuple[tuple[str, str], ...]]]:
    """Peers inside, at the ends of and beside every network that either mesh names; those that are
    proxies with every word that they could say."""
    points: list[str] = ["192.0.2.55", "2001:db8::5"]
    said: list[str] = []
    for config in configs:
        lists = config.networks
        for cidrs in (
            lists.mesh or (),
            lists.trusted_proxies,
            *lists.services.values(),
            *lists.methods.values(),
        ):
            for cidr in cidrs:
                if cidr == "unix":
                    continue
                network = ipaddress.ip_network(cidr)
                first = int(network.network_address)
                last = int(network.broadcast_address)
                top = 2**network.max_prefixlen
                make = type(network.network_address)
                middle = (first + last) // 2
                points += [
                    str(make(n)) for n in (first - 1, first, middle, last, last + 1) if 0 <= n < top
                ]
        said += lists.trusted_proxies
    points = list(dict.fromkeys(points))
    proxies = [each for each in dict.fromkeys(said) if each != "unix"]
    yield "unix:/socket", ()
    for point in points:
        yield _peer(point), ()
    for proxy in [*map(_peer, proxies), *(["unix:/socket"] if "unix" in said else [])]:
        for point in (*points, "unix", "nonsense"):
            yield proxy, (("x-forwarded-for", point),)


def _peer(address: str) -> str:
    return f"ipv6:[{address}]:1" if ":" in address else f"ipv4:{address}:1"
