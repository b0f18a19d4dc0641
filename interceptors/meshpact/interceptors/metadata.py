"""What the guard reads of a call's metadata, in one pass: form, size, token, trace context."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, cast

from meshpact.interceptors import errors
from meshpact.interceptors.errors import StatusError

ENTRY_OVERHEAD: Final = 32
"""Bytes that count for each entry beside key and value (RFC 7541 section 4.1)."""

TWICE: Final = "'authorization' is there"
"""How the fault of a repeated token begins."""

DEFAULT_MAX_BYTES: Final = 16 * 1024
"""Metadata bytes of one call where mesh.yaml states no limit."""

Pairs = Sequence[tuple[str, str | bytes]]


def scan(pairs: Pairs) -> tuple[Mapping[str, str | bytes], int, str]:
    """(the first value of each key, size in bytes, what is malformed or "") of a call's metadata.

    Malformed are: non-ASCII or control characters outside `-bin` values (gRPC over HTTP/2,
    "ASCII-Value"), and more than one `authorization`.
    """
    found: Mapping[str, str | bytes] = dict(pairs)
    if len(found) == len(pairs):
        try:
            text = "".join(cast("Mapping[str, str]", found).values())  # raises for bytes
        except TypeError:
            return _scan_each(pairs)
        if text.isascii() and text.isprintable():
            return found, len(text) + len("".join(found)) + ENTRY_OVERHEAD * len(found), ""
    return _scan_each(pairs)


def _scan_each(pairs: Pairs) -> tuple[Mapping[str, str | bytes], int, str]:
    found: dict[str, str | bytes] = {}
    size, fault = 0, ""
    for key, value in pairs:
        size += len(key) + len(value) + ENTRY_OVERHEAD
        if isinstance(value, bytes):
            if not key.endswith("-bin"):
                fault = fault or f"the value of {key!r} is not ASCII"
        elif not (value.isascii() and value.isprintable()):
            what = "has control characters" if value.isascii() else "is not ASCII"
            fault = fault or f"the value of {key!r} {what}"
        if key == "authorization" and key in found:
            fault = f"{TWICE} more than once"
        found.setdefault(key, value)
    return found, size, fault


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
