"""How long a call may run: the caller's deadline, the contract's default and maximum."""

from __future__ import annotations

from typing import Final

from meshpact.interceptors import errors
from meshpact.interceptors.errors import StatusError

FOREVER: Final = 10 * 365 * 86400.0
"""Seconds; a deadline further away than this is none (a `grpc-timeout` of more than 8 digits)."""


def spent() -> StatusError:
    """The refusal of a call that arrives with no time left."""
    return StatusError(
        errors.BUDGET_SPENT.code,
        "Deadline exceeded: no time was left when the call arrived",
        reason=errors.BUDGET_SPENT.name,
        domain=errors.DOMAIN,
    )


def exceeded(seconds: float) -> StatusError:
    """The end of a call that ran for as long as the contract lets it."""
    return StatusError(
        errors.DEADLINE_MAXIMUM.code,
        f"Deadline exceeded: the contract gives this call {seconds:g} s",
        reason=errors.DEADLINE_MAXIMUM.name,
        domain=errors.DOMAIN,
        metadata={"seconds": f"{seconds:g}"},
    )
