"""Where a call comes from: grpc's peer string as an address, and the network allow-list."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Protocol
from urllib.parse import unquote

from meshpact.interceptors import errors
from meshpact.interceptors.errors import StatusError


class Addresses(Protocol):
    """A set of IP addresses."""

    def __contains__(self, ip: str, /) -> bool: ...


class Networks(Protocol):
    """The allow-lists of mesh.yaml (`meshpact.mesh.networks.Networks`)."""

    def lists(self, service: str, method_path: str, /) -> Sequence[Addresses]:
        """The sets of addresses that stand on the mesh, the service or the method."""
        ...


Check = Callable[[str], bool]
"""Whether a call may come from a peer, in grpc's notation."""

CACHED_PEERS: Final = 4096


def compile_networks(lists: Sequence[Addresses]) -> Check | None:
    """The network check of one method; None when no list stands on it.

    A peer's address and port stand for one connection, and the answer hangs on the address alone:
    so it is remembered by the text.
    """
    if not lists:
        return None
    answers: dict[str, bool] = {}

    def check(peer: str) -> bool:
        answer = answers.get(peer)
        if answer is None:
            ip = ip_of(peer)
            answer = all(ip in each for each in lists)
            if len(answers) >= CACHED_PEERS:
                answers.clear()
            answers[peer] = answer
        return answer

    return check


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
