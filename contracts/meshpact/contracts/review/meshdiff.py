"""What a change of mesh.yaml does by itself: bindings and networks."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Sequence

from meshpact.contracts.access.diff import NetworkChange
from meshpact.contracts.access.mesh import AccessMesh
from meshpact.contracts.faults import Place
from meshpact.contracts.review.model import Change, Delta, Impact
from meshpact.contracts.review.touches import Touches

_RULES = {
    "loses": ("binding-removed", Impact.BREAKS),
    "gains": ("binding-added", Impact.WIDENS),
    "changes": ("binding-changed", Impact.NOTE),
}


def mesh_changes(
    mesh: AccessMesh | None, old: AccessMesh | None, touches: Touches, told: set[str]
) -> Iterator[Change]:
    """Callers that gain or lose methods whose access no contract changed (`told` has the others),
    and networks."""
    if mesh is None or old is None:
        return
    place = Place(str(mesh.path))
    for method, touched in touches.access.items():
        if method in told:
            continue
        for each in touched:
            rule, impact = _RULES[each.kind]
            yield Change(Delta(rule, impact, each.text), method, place, (each,))
    for network in touches.networks:
        at = mesh.place(("networks",))
        for delta in _network(network):
            yield Change(delta, network.place, at)


def _network(change: NetworkChange) -> Iterator[Delta]:
    before, after = _shown(change.before), _shown(change.after)
    text = f"{before} -> {after}"
    if change.place.endswith("trusted_proxies"):
        yield Delta("proxies", Impact.WIDENS, text, "", before, after)
        return
    if not _covers(change.after, change.before):
        yield Delta("network-tightened", Impact.BREAKS, text, "", before, after)
    if not _covers(change.before, change.after):
        yield Delta("network-widened", Impact.WIDENS, text, "", before, after)


def _covers(outer: Sequence[str] | None, inner: Sequence[str] | None) -> bool:
    """Whether all that the inner list allows is allowed by the outer one; None allows all."""
    if outer is None:
        return True
    if inner is None:
        return False
    if "unix" in inner and "unix" not in outer:
        return False
    return all(_within(cidr, outer) for cidr in inner if cidr != "unix")


def _within(cidr: str, outer: Sequence[str]) -> bool:
    network = ipaddress.ip_network(cidr)
    alike = [
        other
        for other in map(ipaddress.ip_network, (each for each in outer if each != "unix"))
        if other.version == network.version
    ]
    merged = ipaddress.collapse_addresses(alike)  # type: ignore[type-var]
    return any(network.subnet_of(other) for other in merged)  # type: ignore[arg-type]


def _shown(networks: Sequence[str] | None) -> str:
    return "any network" if networks is None else ", ".join(networks) or "none"
