"""Where a call comes from: grpc's peer string as an address, and the network allow-list.

Behind a proxy that mesh.yaml trusts the caller's address is what the proxy says: the right-most
entry of `x-forwarded-for` that is no such proxy itself. Nobody else's word counts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Protocol
from urllib.parse import unquote

from meshpact.interceptors import errors
from meshpact.interceptors.call import MetadataPairs
from meshpact.interceptors.errors import StatusError
from meshpact.mesh.networks import parse_address


class Addresses(Protocol):
    """A set of IP addresses; the text `unix` in it stands for Unix sockets."""

    def __contains__(self, ip: str, /) -> bool: ...


class Networks(Protocol):
    """The allow-lists of mesh.yaml (`meshpact.mesh.networks.Networks`)."""

    @property
    def proxies(self) -> Addresses | None:
        """The proxies whose word about the caller's address counts; None for none."""
        ...

    def lists(self, service: str, method_path: str, /) -> Sequence[Addresses]:
        """The sets of addresses that stand on the mesh, the service or the method."""
        ...


Check = Callable[[str, MetadataPairs], str | None]
"""(peer in grpc's notation, metadata) -> None to allow, else the address that is refused."""

CACHED_PEERS: Final = 4096
FORWARDED_FOR: Final = "x-forwarded-for"
MAX_HOPS: Final = 16
"""Entries of `x-forwarded-for` that are looked at."""
MALFORMED: Final = "malformed x-forwarded-for"
"""In place of the address of a call whose proxy says none."""


def compile_networks(lists: Sequence[Addresses], proxies: Addresses | None = None) -> Check | None:
    """The network check of one method; None when no list stands on it.

    A peer's address and port stand for one connection, and the answer hangs on the address alone
    (behind a proxy: on what it says, too): so it is remembered by the text.
    """
    if not lists:
        return None
    answers: dict[str, str | None] = {}

    def allows(peer: str, _: MetadataPairs) -> str | None:
        try:
            return answers[peer]
        except KeyError:
            ip = address_of(peer)
            if len(answers) >= CACHED_PEERS:
                answers.clear()
            answers[peer] = found = None if all(ip in each for each in lists) else ip
            return found

    if proxies is None:
        return allows

    def allows_behind(peer: str, pairs: MetadataPairs) -> str | None:
        ip = address_of(peer)
        if ip not in proxies:
            return allows(peer, pairs)
        ip = forwarded(ip, pairs, proxies)
        return None if all(ip in each for each in lists) else ip

    return allows_behind


def address_of(peer: str) -> str:
    """The IP address in a grpc peer string, `unix` for a Unix socket, "" for neither.

    `ipv4:10.0.0.7:51234` gives `10.0.0.7`, `ipv6:%5B::1%5D:51234` gives `::1`; an IPv4 address
    mapped into IPv6 is given as IPv4.
    """
    family, _, rest = peer.partition(":")
    if family not in ("ipv4", "ipv6"):
        return "unix" if family in ("unix", "unix-abstract") else ""
    host = unquote(rest).rpartition(":")[0].strip("[]").partition("%")[0]
    return host.removeprefix("::ffff:") if "." in host else host


def forwarded(proxy: str, pairs: MetadataPairs, proxies: Addresses) -> str:
    """The caller's address as a trusted proxy tells it; MALFORMED when what it tells is none.

    The proxy's own address when it tells nothing: then it is the caller.
    """
    address = proxy
    values = [value for key, value in pairs if key == FORWARDED_FOR]
    hops = 0
    for value in reversed(values):
        if isinstance(value, bytes):
            return MALFORMED
        for hop in reversed(value.split(",")):
            parsed = parse_address(hop.strip(" \t"))
            hops += 1
            if parsed is None or hops > MAX_HOPS:
                return MALFORMED
            address = str(parsed)
            if address not in proxies:
                return address
    return address


def denied(address: str) -> StatusError:
    """The refusal of a call from outside the allow-list."""
    text = "calls from this network are not allowed here"
    if address == MALFORMED:
        text = "the proxy's x-forwarded-for does not tell the caller's address"
    return StatusError(
        errors.NETWORK_DENIED.code,
        f"Permission denied: {text}",
        reason=errors.NETWORK_DENIED.name,
        domain=errors.DOMAIN,
        metadata={"peer": address},
    )
