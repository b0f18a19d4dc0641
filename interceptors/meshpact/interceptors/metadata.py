"""What the guard reads of a call's metadata, in one pass: form, size, token, trace context."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from meshpact.interceptors import errors
from meshpact.interceptors.errors import StatusError

ENTRY_OVERHEAD: Final = 32
"""Bytes that count for each entry beside key and value (RFC 7541 section 4.1)."""

TWICE: Final = "'authorization' is there"
"""How the fault of a repeated token begins."""

DEFAULT_MAX_BYTES: Final = 16 * 1024
"""Metadata bytes of one call where mesh.yaml states no limit."""

Pairs = Sequence[tuple[str, str | bytes]]


def fault_of(pairs: Pairs) -> str:
    """What is malformed in a call's metadata, "" when nothing is.

    Malformed are: non-ASCII or control characters outside `-bin` values (gRPC over HTTP/2,
    "ASCII-Value"), and more than one `authorization`.
    """
    fault = ""
    tokens = 0
    for key, value in pairs:
        if isinstance(value, bytes):
            if not key.endswith("-bin"):
                fault = fault or f"the value of {key!r} is not ASCII"
        elif not (value.isascii() and value.isprintable()):
            what = "has control characters" if value.isascii() else "is not ASCII"
            fault = fault or f"the value of {key!r} {what}"
        tokens += key == "authorization"
    return f"{TWICE} more than once" if tokens > 1 else fault


def malformed(fault: str) -> StatusError:
    """The refusal of malformed metadata."""
    return StatusError(
        errors.METADATA_INVALID.code,
        f"Invalid metadata: {fault}",
        reason=errors.METADATA_INVALID.name,
        domain=errors.DOMAIN,
    )


def too_large(size: int, limit: int) -> StatusError:
    """The refusal of too much metadata."""
    return StatusError(
        errors.METADATA_TOO_LARGE.code,
        f"Metadata of {size} bytes is over the limit of {limit}",
        reason=errors.METADATA_TOO_LARGE.name,
        domain=errors.DOMAIN,
        metadata={"limit_bytes": str(limit)},
    )
