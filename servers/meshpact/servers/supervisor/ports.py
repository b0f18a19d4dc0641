"""Addresses of a mesh, held before its processes start so that nobody else takes them."""

from __future__ import annotations

import errno
import ipaddress
import socket
from dataclasses import dataclass

from meshpact.servers.supervisor.errors import UpError


@dataclass(frozen=True)
class Reservation:
    """An address that is bound but does not listen: grpc can still bind it, a bystander cannot.

    Linux lets two sockets with SO_REUSEADDR share a port while neither listens, and never hands a
    port out by itself that is bound.
    """

    address: str
    holder: socket.socket

    def release(self) -> None:
        """Give the port back."""
        self.holder.close()


def reserve(address: str, purpose: str) -> Reservation:
    """Hold `host:port`; port 0 takes a free one. `purpose` names it in errors (`service store`).

    Raises UpError when the address is no address or something listens there.
    """
    host, port = split(address, purpose)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    holder = socket.socket(family, socket.SOCK_STREAM)
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        holder.bind((host, port))
    except OSError as error:
        holder.close()
        if error.errno == errno.EADDRINUSE:
            raise UpError(
                f"{purpose}: the address {address} is taken by another process. "
                "Stop that process, or give another address in mesh.yaml (port 0 takes a free one)."
            ) from None
        raise UpError(
            f"{purpose}: the address {address} cannot be bound: {error.strerror}. "
            "Use an address of this machine, such as 127.0.0.1:0."
        ) from None
    bound = holder.getsockname()[1]
    shown = f"[{host}]" if family == socket.AF_INET6 else host
    return Reservation(f"{shown}:{bound}", holder)


def split(address: str, purpose: str) -> tuple[str, int]:
    """Host and port of `127.0.0.1:7001` or `[::1]:7001`; `localhost` is 127.0.0.1."""
    host, _, port = address.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if host == "localhost":
        host = "127.0.0.1"
    try:
        ipaddress.ip_address(host)
        if not port.isdecimal() or int(port) > 65535:
            raise ValueError(port)
    except ValueError:
        raise UpError(
            f"{purpose}: {address!r} is no address. Write an IP address and a port, "
            "such as 127.0.0.1:7001 (port 0 takes a free one).",
            exit_code=2,
        ) from None
    return host, int(port)
