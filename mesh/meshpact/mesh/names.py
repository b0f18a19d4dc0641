"""The spelling of what mesh.yaml names: roles, methods, addresses, workloads, durations."""

from __future__ import annotations

import re
from typing import Final

from meshpact.certs.spiffe import SpiffeError, SpiffeId, is_workload_id

ROLES: Final = "lower-case words joined by dots, such as inventory.writer"
METHODS: Final = "package.Service/Method or package.Service/*"
CONTRACTS: Final = "package.Service"
DURATIONS: Final = "a number of seconds, or a text such as 500ms, 30s, 5m, 12h"
WORKLOADS: Final = "a SPIFFE ID, or a prefix of IDs that ends in /*"
ADDRESSES: Final = "host:port, such as 127.0.0.1:7001 or [::1]:0"

_ROLE: Final = re.compile(r"[a-z][a-z0-9_-]*(\.[a-z0-9_-]+)*")
_IDENTIFIER: Final = r"[A-Za-z_][A-Za-z0-9_]*"
_METHOD: Final = re.compile(
    rf"{_IDENTIFIER}(\.{_IDENTIFIER})*/({_IDENTIFIER}|\*)",
)
_CONTRACT: Final = re.compile(rf"{_IDENTIFIER}(\.{_IDENTIFIER})*")
_FACTORY: Final = re.compile(
    rf"{_IDENTIFIER}(\.{_IDENTIFIER})*:{_IDENTIFIER}(\.{_IDENTIFIER})*",
)
_ADDRESS: Final = re.compile(r"([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):([0-9]{1,5})")
_DURATION: Final = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,9})?)(ms|s|m|h)?")
_UNITS: Final = {"ms": 0.001, None: 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}

ANY: Final = "/*"
UNIX: Final = "unix"
"""Stands in lists of networks for Unix sockets, which have no address."""


def is_role(text: str) -> bool:
    """Whether a text is the name of a role."""
    return bool(_ROLE.fullmatch(text))


def is_method(text: str) -> bool:
    """Whether a text names a method, or with `/*` all methods of a service."""
    return bool(_METHOD.fullmatch(text))


def is_contract(text: str) -> bool:
    """Whether a text is the full name of a service of a contract."""
    return bool(_CONTRACT.fullmatch(text))


def is_factory(text: str) -> bool:
    """Whether a text is `module:callable`."""
    return bool(_FACTORY.fullmatch(text))


def port_of(address: str) -> int | None:
    """The port of `host:port`, None when the text is no such address."""
    match = _ADDRESS.fullmatch(address)
    port = int(match[2]) if match else 65536
    return port if port < 65536 else None


def seconds_of(duration: str) -> float | None:
    """The seconds of a duration such as `30`, `500ms`, `5m`, None when the text is none."""
    match = _DURATION.fullmatch(duration)
    return float(match[1]) * _UNITS[match[2]] if match else None


def check_workload(text: str) -> None:
    """Passes a SPIFFE ID, or a prefix of IDs that ends in `/*`; SpiffeError otherwise."""
    if is_workload_id(text):
        return
    if "*" in text.removesuffix(ANY):
        raise SpiffeError("path", f"{text}: a * stands at the end alone, as in spiffe://td/ns/*")
    spiffe_id = SpiffeId.parse(text.removesuffix(ANY))
    if not spiffe_id.path and not text.endswith(ANY):
        raise SpiffeError("path", f"{text} names no workload: it has no path; all are {text}/*")
