"""Calls as handlers get them, without a wire."""

from __future__ import annotations

import math

from acme.retail.inventory.v1.inventory_mesh import INVENTORY_SERVICE
from meshpact.interceptors.call import Call, Caller, CallInfo, EndUser
from meshpact.interceptors.errors import StatusError

WORKLOAD = "spiffe://shop.example/web"


def user(subject: str) -> EndUser:
    """A verified end user."""
    return EndUser(
        issuer="https://issuer.example",
        subject=subject,
        audience=frozenset(),
        scopes=frozenset(),
        groups=frozenset(),
        expires=math.inf,
    )


def call(method: str = "ListStock", *, workload: str = WORKLOAD, subject: str = "") -> Call:
    """A call to a method of the inventory."""
    spec = next(each for each in INVENTORY_SERVICE.methods if each.path.endswith(f"/{method}"))
    caller = Caller(workload, user(subject) if subject else None)
    return Call(CallInfo(spec.path, spec.policy, caller, math.inf))


def faults(error: StatusError) -> list[tuple[str, str]]:
    """Field and reason of each fault that an INVALID_REQUEST names."""
    assert (error.code.name, error.reason, error.domain) == (
        "INVALID_ARGUMENT",
        "INVALID_REQUEST",
        "meshpact",
    )
    assert error.message.startswith("Invalid request: ")
    return [(fault.field, fault.reason) for fault in error.fields]
