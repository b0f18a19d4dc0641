"""To whom something belongs that a service hands out: one caller of one method."""

from __future__ import annotations

import hashlib

from meshpact.interceptors.call import Call


def scope_of(call: Call) -> str:
    """A digest of the method, the workload and the end user of a call, 64 hexadecimal digits."""
    user = call.caller.user
    person = (user.issuer, user.subject) if user else ()
    return hashlib.sha256(
        "\0".join((call.info.method, call.caller.workload, *person)).encode()
    ).hexdigest()
