"""How long a call may run: the caller's deadline, the contract's default and maximum."""

from __future__ import annotations

from typing import Final

from meshpact.interceptors import errors
from meshpact.interceptors.errors import StatusError

FOREVER: Final = 10 * 365 * 86400.0
"""Seconds; a deadline further away than this is none (a `grpc-timeout` of more than 8 digits)."""


def budget(
    remaining: float | None, default: float, maximum: float | None
) -> tuple[float, float | None]:
    """(seconds the call has, seconds after which the server must end it itself or None).

    The server needs no timer of its own when the caller's deadline is the nearer one: the
    transport ends the call then.
    """
    if remaining is None or remaining > FOREVER:
        return default, default
    if maximum is not None and remaining > maximum:
        return maximum, maximum
    return remaining, None


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
