"""What the guard reads of a call's metadata, in one pass: form, size, token, trace context."""

from __future__ import annotations

from typing import Final

import msgspec

from meshpact.interceptors import errors
from meshpact.interceptors.call import MetadataPairs
from meshpact.interceptors.errors import StatusError

ENTRY_OVERHEAD: Final = 32
"""Bytes that count for each entry beside key and value (RFC 7541 section 4.1)."""

DEFAULT_MAX_BYTES: Final = 16 * 1024
"""Metadata bytes of one call where mesh.yaml states no limit."""


class Scan(msgspec.Struct):
    """One call's metadata, read once. `fault` says what is malformed, "" when nothing is."""

    size: int
    fault: str
    authorization: str | None
    authorizations: int
    traceparent: str
    tracestate: str


def scan(pairs: MetadataPairs) -> Scan:
    """Reads every entry once: sums sizes, finds malformed values, picks out what the guard needs.

    Malformed are: non-ASCII or control characters outside `-bin` values (gRPC over HTTP/2,
    "ASCII-Value"), and more than one `authorization`.
    """
    size = authorizations = 0
    fault = traceparent = tracestate = ""
    authorization: str | None = None
    for key, value in pairs:
        size += len(key) + len(value) + ENTRY_OVERHEAD
        if isinstance(value, bytes):
            if not key.endswith("-bin"):
                fault = fault or f"the value of {key!r} is not ASCII"
            continue
        if not (value.isascii() and value.isprintable()) and not fault:
            what = "has control characters" if value.isascii() else "is not ASCII"
            fault = f"the value of {key!r} {what}"
        if key == "authorization":
            authorizations += 1
            authorization = value
        elif key == "traceparent":
            traceparent = value
        elif key == "tracestate":
            tracestate = value
    if authorizations > 1 and not fault:
        fault = "'authorization' is there more than once"
    return Scan(size, fault, authorization, authorizations, traceparent, tracestate)


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
