"""Where a call comes from: grpc's peer string as an address, and the network allow-list."""

from __future__ import annotations

from typing import Protocol
from urllib.parse import unquote

from meshpact.interceptors import errors
from meshpact.interceptors.errors import StatusError


class Networks(Protocol):
    """The allow-list of mesh.yaml (`meshpact.mesh.networks.Networks`)."""

    def restricts(self, service: str, method_path: str, /) -> bool:
        """Whether a list stands on the mesh, the service or the method."""
        ...

    def allows(self, service: str, method_path: str, ip: str, /) -> bool:
        """Whether every list that stands there holds the address."""
        ...


def ip_of(peer: str) -> str:
    """The IP address in a grpc peer string, "" when there is none (a Unix socket).

    `ipv4:10.0.0.7:51234` gives `10.0.0.7`, `ipv6:%5B::1%5D:51234` gives `::1`; an IPv4 address
    mapped into IPv6 is given as IPv4.
    """
    family, _, rest = peer.partition(":")
    if family not in ("ipv4", "ipv6"):
        return ""
    host = unquote(rest).rpartition(":")[0].strip("[]").partition("%")[0]
    return host.removeprefix("::ffff:") if "." in host else host


def denied(peer: str) -> StatusError:
    """The refusal of a call from outside the allow-list."""
    return StatusError(
        errors.NETWORK_DENIED.code,
        "Permission denied: calls from this network are not allowed here",
        reason=errors.NETWORK_DENIED.name,
        domain=errors.DOMAIN,
        metadata={"peer": ip_of(peer)},
    )
