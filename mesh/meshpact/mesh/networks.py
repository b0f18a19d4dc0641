"""Which network addresses a call may come from: the compiled lists of mesh.yaml's `networks`."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import Final

from meshpact.mesh.model import NetworkLists
from meshpact.mesh.names import ANY, UNIX
from meshpact.mesh.tree import Place

CACHED_ADDRESSES: Final = 4096
"""Addresses whose answers one list remembers; beyond, it forgets all and starts again."""

_MAPPED_BITS: Final = 96

_Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class AddressSet:
    """A set of networks, and perhaps of Unix sockets (`unix`), that answers fast for addresses it
    has seen. Safe to use from several threads."""

    __slots__ = ("_answers", "_networks", "_unix")

    def __init__(self, cidrs: Sequence[str]) -> None:
        self._unix = UNIX in cidrs
        self._networks = tuple(parse_network(cidr) for cidr in cidrs if cidr != UNIX)
        self._answers: dict[str, bool] = {}

    def __contains__(self, ip: str) -> bool:
        answer = self._answers.get(ip)
        if answer is None:
            if ip == UNIX:
                answer = self._unix
            else:
                address = parse_address(ip)
                answer = address is not None and any(address in each for each in self._networks)
            if len(self._answers) >= CACHED_ADDRESSES:
                self._answers = {}
            self._answers[ip] = answer
        return answer


class Networks:
    """The network allow-lists of one mesh: each list given for a call must hold its address.

    Lists that are given: the mesh's, the service's, and those of the method by its full name and by
    `package.Service/*`.
    """

    def __init__(self, lists: NetworkLists) -> None:
        self._mesh = None if lists.mesh is None else AddressSet(lists.mesh)
        self._services = {name: AddressSet(cidrs) for name, cidrs in lists.services.items()}
        self._methods = {name: AddressSet(cidrs) for name, cidrs in lists.methods.items()}
        self.proxies = AddressSet(lists.trusted_proxies) if lists.trusted_proxies else None
        """The proxies whose word about the caller's address counts; None for none."""

    def lists(self, service: str, method_path: str) -> tuple[AddressSet, ...]:
        """The lists for a method, `/package.Service/Method`, of a service by its name."""
        return tuple(each for _, each in self.placed(service, method_path))

    def placed(self, service: str, method_path: str) -> list[tuple[Place, AddressSet]]:
        """The same lists with their places in mesh.yaml."""
        method = method_path.removeprefix("/")
        whole = method.rpartition("/")[0] + ANY
        candidates: list[tuple[Place, AddressSet | None]] = [
            (("networks", "mesh"), self._mesh),
            (("networks", "services", service), self._services.get(service)),
            (("networks", "methods", whole), self._methods.get(whole)),
            (("networks", "methods", method), self._methods.get(method)),
        ]
        return [(place, each) for place, each in candidates if each is not None]


def parse_network(cidr: str) -> _Network:
    """A network; one of IPv4 addresses mapped into IPv6 is taken as what it maps."""
    network = ipaddress.ip_network(cidr)
    mapped = getattr(network.network_address, "ipv4_mapped", None)
    if mapped is not None and network.prefixlen >= _MAPPED_BITS:
        return ipaddress.IPv4Network((mapped, network.prefixlen - _MAPPED_BITS))
    return network


def parse_address(ip: str) -> _Address | None:
    """An address without its zone, None for a text that is none.

    An IPv4 address that comes wrapped in IPv6 (RFC 4291, 2.5.5.2) is unwrapped.
    """
    try:
        address = ipaddress.ip_address(ip.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address
