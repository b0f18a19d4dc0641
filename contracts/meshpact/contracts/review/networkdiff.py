"""Networks of mesh.yaml on both sides: from where calls come now, and from where no more.

Addresses that all lists and proxies treat alike are one case; the guard's own check decides each.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from meshpact.contracts.access.mesh import AccessMesh
from meshpact.contracts.review.model import Change, Delta, Impact, Touch
from meshpact.contracts.review.valuesets import Way
from meshpact.contracts.serving import Serving
from meshpact.interceptors.call import MetadataPairs
from meshpact.interceptors.network import FORWARDED_FOR, compile_networks
from meshpact.mesh import names
from meshpact.mesh.model import NetworkLists
from meshpact.mesh.networks import AddressSet, Networks, parse_network
from meshpact.mesh.tree import Place as TreePlace

_PROXIES: Final[TreePlace] = ("networks", "trusted_proxies")
_MALFORMED: Final = "?"


def network_changes(
    old: AccessMesh, new: AccessMesh, was: Mapping[str, str], serving: tuple[Serving, Serving]
) -> Iterator[Change]:
    """A finding for each list that differs, with the methods that it opens or closes; a note where
    other lists leave everything as it was. `was` are old names of methods by their new ones."""
    lists = old.config.networks, new.config.networks
    if lists[0] == lists[1]:
        return
    ways = _ways(old, new, was, serving)
    before, after = _places(lists[0]), _places(lists[1])
    for place in sorted({*before, *after}, key=str):
        one, two = before.get(place), after.get(place)
        under = {
            name: way for (name, service), way in ways.items() if _stands_on(place, name, service)
        }
        for way, delta in _deltas(place, one, two, under):
            methods = [name for name, each in under.items() if way in each]
            told = delta if methods or not under else _unmoved(delta)
            touched = tuple(Touch("uses", "", each, f"calls of {each}") for each in methods)
            yield Change(told, ".".join(map(str, place)), new.place(place), touched)


def _unmoved(delta: Delta) -> Delta:
    text = f"{delta.message} (other lists leave all methods as they were)"
    return Delta(delta.rule, Impact.NOTE, text, "", delta.before, delta.after)


def _places(lists: NetworkLists) -> dict[TreePlace, tuple[str, ...]]:
    found: dict[TreePlace, tuple[str, ...]] = {}
    if lists.mesh is not None:
        found["networks", "mesh"] = lists.mesh
    if lists.trusted_proxies:
        found[_PROXIES] = lists.trusted_proxies
    for key, named in (("services", lists.services), ("methods", lists.methods)):
        found.update({("networks", key, name): cidrs for name, cidrs in named.items()})
    return found


def _stands_on(place: TreePlace, method: str, service: str) -> bool:
    if len(place) < 3:
        return True
    _, key, name = place
    if key == "services":
        return service == name
    return name in (method, f"{method.rpartition('/')[0]}{names.ANY}")


def _deltas(
    place: TreePlace,
    before: Sequence[str] | None,
    after: Sequence[str] | None,
    under: Mapping[str, Way],
) -> Iterator[tuple[Way, Delta]]:
    ends = _shown(before), _shown(after)
    if place == _PROXIES:
        ends = _shown(before or ()), _shown(after or ())
        yield from _proxies(before or (), after or (), under, ends)
        return
    text = f"{ends[0]} -> {ends[1]}"
    if not _covers(after, before):
        yield Way.TIGHTER, Delta("network-tightened", Impact.BREAKS, text, "", *ends)
    if not _covers(before, after):
        yield Way.LOOSER, Delta("network-widened", Impact.WIDENS, text, "", *ends)


def _proxies(
    before: Sequence[str], after: Sequence[str], under: Mapping[str, Way], ends: tuple[str, str]
) -> Iterator[tuple[Way, Delta]]:
    """Whose word about the caller's address counts can let in and keep out, by what it is held
    against."""
    if _covers(before, after) and _covers(after, before):
        return
    text = f"{ends[0]} -> {ends[1]}"
    ways = [way for way in (Way.TIGHTER, Way.LOOSER) if any(way in each for each in under.values())]
    for way in ways:
        tighter = way is Way.TIGHTER
        rule = "proxies-tightened" if tighter else "proxies"
        impact = Impact.BREAKS if tighter else Impact.WIDENS
        yield way, Delta(rule, impact, f"tell where calls come from: {text}", "", *ends)
    if not ways:
        text = f"tell where calls come from, which decides nothing: {text}"
        yield Way.SAME, Delta("proxies", Impact.NOTE, text, "", *ends)


# What becomes of calls ----------------------------------------------------------------------------


def _ways(
    old: AccessMesh, new: AccessMesh, was: Mapping[str, str], serving: tuple[Serving, Serving]
) -> dict[tuple[str, str], Way]:
    """What changes for each method and each service of mesh.yaml that serves it."""
    networks = Networks(old.config.networks), Networks(new.config.networks)
    points = _points([*_texts(old.config.networks), *_texts(new.config.networks)])
    known: dict[object, Way] = {}
    found: dict[tuple[str, str], Way] = {}
    for name in new.methods:
        before = was.get(name, name)
        if before not in old.methods:
            continue
        for service in _servers(serving, before, name):
            sides = (
                _Side(networks[0].lists(service, f"/{before}"), networks[0].proxies),
                _Side(networks[1].lists(service, f"/{name}"), networks[1].proxies),
            )
            key = tuple(tuple(map(id, side.lists)) for side in sides)
            if key not in known:
                known[key] = _way(sides, points)
            found[name, service] = known[key]
    return found


def _servers(serving: tuple[Serving, Serving], before: str, name: str) -> Sequence[str]:
    """The services that serve a method; "" where nobody knows."""
    now = serving[1].of(name.rpartition("/")[0])
    return now or serving[0].of(before.rpartition("/")[0]) or ("",)


@dataclass(frozen=True)
class _Side:
    lists: Sequence[AddressSet]
    proxies: AddressSet | None

    def kind(self, address: str) -> tuple[bool, ...]:
        """What tells an address from others here."""
        proxy = self.proxies is not None and address in self.proxies
        return (*(address in each for each in self.lists), proxy)


def _way(sides: tuple[_Side, _Side], points: Sequence[str]) -> Way:
    kinds = {  # a socket is no address that a proxy could tell of
        (sides[0].kind(each), sides[1].kind(each), each == names.UNIX): each for each in points
    }
    checks = [compile_networks(side.lists, side.proxies) for side in sides]
    told: list[MetadataPairs] = [
        (),
        *(((FORWARDED_FOR, text),) for text in (_MALFORMED, *kinds.values())),
    ]
    way = Way.SAME
    for address in kinds.values():
        for pairs in told:
            before, after = (
                check is None or check(_peer(address), pairs) is None for check in checks
            )
            if before and not after:
                way |= Way.TIGHTER
            elif after and not before:
                way |= Way.LOOSER
    return way


def _texts(lists: NetworkLists) -> Iterator[str]:
    for cidrs in _places(lists).values():
        yield from cidrs


def _points(cidrs: Sequence[str]) -> list[str]:
    """Addresses that stand for all: the ends of each network, those beside them, and sockets."""
    found = {names.UNIX, "0.0.0.0", "255.255.255.255", "::", "ffff::"}  # noqa: S104
    for cidr in dict.fromkeys(cidrs):
        if cidr == names.UNIX:
            continue
        network = parse_network(cidr)
        first, last = int(network.network_address), int(network.broadcast_address)
        top = 2**network.max_prefixlen
        make = type(network.network_address)
        found |= {str(make(each)) for each in (first - 1, first, last, last + 1) if 0 <= each < top}
    return sorted(found)


def _peer(address: str) -> str:
    if address == names.UNIX:
        return "unix:/socket"
    return f"ipv6:[{address}]:1" if ":" in address else f"ipv4:{address}:1"


# Lists --------------------------------------------------------------------------------------------


def _covers(outer: Sequence[str] | None, inner: Sequence[str] | None) -> bool:
    """Whether all that the inner list allows is allowed by the outer one; None allows all."""
    if outer is None:
        return True
    if inner is None:
        return False
    if names.UNIX in inner and names.UNIX not in outer:
        return False
    return all(_within(cidr, outer) for cidr in inner if cidr != names.UNIX)


def _within(cidr: str, outer: Sequence[str]) -> bool:
    network = parse_network(cidr)
    alike = [
        other
        for other in (parse_network(each) for each in outer if each != names.UNIX)
        if other.version == network.version
    ]
    merged = ipaddress.collapse_addresses(alike)  # type: ignore[type-var]
    return any(network.subnet_of(other) for other in merged)  # type: ignore[arg-type]


def _shown(networks: Sequence[str] | None) -> str:
    return "any network" if networks is None else ", ".join(networks) or "none"
