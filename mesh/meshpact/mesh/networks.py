"""Which network addresses a call may come from: the compiled lists of mesh.yaml's `networks`."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import Final

from meshpact.mesh.model import NetworkLists
from meshpact.mesh.names import ANY

CACHED_ADDRESSES: Final = 4096
"""Addresses whose answers one list remembers; beyond, it forgets all and starts again."""

_Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class AddressSet:
    """A set of networks that answers fast for addresses it has seen."""

    __slots__ = ("_answers", "_networks")

    def __init__(self, cidrs: Sequence[str]) -> None:
        self._networks: tuple[_Network, ...] = tuple(map(ipaddress.ip_network, cidrs))
        self._answers: dict[str, bool] = {}

    def __contains__(self, ip: str) -> bool:
        answer = self._answers.get(ip)
        if answer is None:
            address = parse_address(ip)
            answer = address is not None and any(address in each for each in self._networks)
            if len(self._answers) >= CACHED_ADDRESSES:
                self._answers = {}
            self._answers[ip] = answer
        return answer


class Networks:
    """The network allow-lists of one mesh: each list given for a call must hold its address.

    Lists that are given: the mesh's, the service's, and those of the method by its full name and by
    `package.Service/*`. Safe to use from several threads.
    """

    def __init__(self, lists: NetworkLists) -> None:
        self._mesh = None if lists.mesh is None else AddressSet(lists.mesh)
        self._services = {name: AddressSet(cidrs) for name, cidrs in lists.services.items()}
        self._methods = {name: AddressSet(cidrs) for name, cidrs in lists.methods.items()}
        self._proxies = AddressSet(lists.trusted_proxies)

    def lists(self, service: str, method_path: str) -> tuple[AddressSet, ...]:
        """The lists for a method, `/package.Service/Method`, of a service by its name."""
        method = method_path.removeprefix("/")
        candidates = (
            self._mesh,
            self._services.get(service),
            self._methods.get(method.rpartition("/")[0] + ANY),
            self._methods.get(method),
        )
        return tuple(each for each in candidates if each is not None)

    def restricts(self, service: str, method_path: str) -> bool:
        """Whether any list is given for a method; if not, nothing needs to be asked."""
        return bool(self.lists(service, method_path))

    def allows(self, service: str, method_path: str, ip: str) -> bool:
        """Whether a call may come from `ip`; False for a text that is no address."""
        return all(ip in each for each in self.lists(service, method_path))

    def trusts_proxy(self, ip: str) -> bool:
        """Whether `ip` is a proxy whose word about the caller's address counts."""
        return ip in self._proxies


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
