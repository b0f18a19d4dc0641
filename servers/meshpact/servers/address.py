"""Addresses to listen on: read before grpc gets them, because its own words name no cause."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable

from meshpact.servers.errors import ServerError


def check(address: str, what: str) -> None:
    """Raises ServerError, which names the address and the cause, when nothing can listen there.

    `what` says for people what is to listen ("the server"). Asked before grpc is given any
    address, because grpc keeps a port for good once it has it, even of a server that never starts.
    """
    fault = _fault(*split(address))
    if fault is not None:
        raise refused(address, what, fault)


def bind(address: str, what: str, add_port: Callable[[str], int]) -> int:
    """Binds by `add_port`, returns the port; ServerError when someone else was faster."""
    try:
        return add_port(address)
    except RuntimeError:
        raise refused(address, what, _fault(*split(address))) from None


def split(address: str) -> tuple[str, int]:
    """`host:port` -> its parts (`[::1]:0` for IPv6); ServerError for anything else."""
    host, _, port = address.rpartition(":")
    if not host or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise ServerError(
            f"{address!r} is no address to listen on: write host:port, such as 127.0.0.1:50051 "
            "(port 0: any that is free)."
        )
    return host.strip("[]"), int(port)


def joined(address: str, port: int) -> str:
    """The address with the port that was bound."""
    return f"{address.rpartition(':')[0]}:{port}"


def _fault(host: str, port: int) -> OSError | None:
    """Why nothing can listen there, found by trying; None when something can."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, place = found[0]
        with socket.socket(family, kind, protocol) as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind(place)
            trial.listen(1)
    except OSError as error:
        return error
    return None


def refused(address: str, what: str, fault: OSError | None) -> ServerError:
    """The error for an address that cannot be had, with its cause."""
    if fault is not None and fault.errno == errno.EADDRINUSE:
        return ServerError(
            f"{address}, where {what} is to listen, is taken by another process: stop it, or "
            "choose another port (0: any that is free)."
        )
    if isinstance(fault, socket.gaierror):
        return ServerError(f"{address}, where {what} is to listen, names no host: {fault.strerror}")
    why = os.strerror(fault.errno) if fault is not None and fault.errno else "grpc refused it"
    return ServerError(f"{address}, where {what} is to listen, cannot be used: {why}.")
