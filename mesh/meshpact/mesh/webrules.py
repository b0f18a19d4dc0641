"""What must hold for the pages of a service: `services.NAME.web`."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from meshpact.mesh import names
from meshpact.mesh.model import Service
from meshpact.mesh.problems import shown
from meshpact.mesh.tree import Place, Tree


def check_web(service: Service, place: Place, taken: dict[str, str], tree: Tree) -> None:
    """Notes faults of a service's `web`; `taken` are the addresses with a port by who has them."""
    web = service.web
    if web is None:
        return
    place = (*place, "web")
    if not service.factory:
        tree.add(place, "there is no factory to serve pages", "", "Give the service a factory")
    port = names.port_of(web.address)
    if port is None:
        tree.add((*place, "address"), f"found {shown(web.address)}", names.ADDRESSES)
        return
    mine = f"the web server of {place[1]}"
    if port and (other := taken.setdefault(web.address, mine)) != mine:
        words = f"{web.address} is the address of {other} too"
        tree.add((*place, "address"), words, "", "Choose another port")
    if bool(web.certificate) != bool(web.key):
        absent = "key" if web.certificate else "certificate"
        tree.add(place, f"the key {absent} is missing", "", "Give certificate and key, or neither")
    elif not web.certificate and not is_loopback(web.address.rpartition(":")[0].strip("[]")):
        tree.add(
            (*place, "address"),
            f"found {shown(web.address)} without a certificate",
            "plain HTTP to this machine only: localhost:PORT, 127.0.0.1:PORT or [::1]:PORT",
            "Listen there, or give certificate and key",
        )
    if web.origin and not _is_origin(web.origin):
        tree.add(
            (*place, "origin"),
            f"found {shown(web.origin)}",
            "https://HOST or https://HOST:PORT (http only to this machine), without a path",
        )


def is_loopback(host: str) -> bool:
    """Whether a host is this machine, whatever resolvers say (RFC 6761, section 6.3)."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _is_origin(text: str) -> bool:
    try:
        parts = urlsplit(text)
        host = parts.hostname or ""
        plain = f"{parts.scheme}://{parts.netloc}" == text and parts.username is None
        _ = parts.port
    except ValueError:
        return False
    safe = parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host))
    return plain and safe and bool(host) and text.isprintable() and " " not in text
