"""The audit trail: one JSON line for each refused call, or for each call where a policy says so."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import Final, Protocol

import msgspec

from meshpact.interceptors.call import EndUser

VERSION: Final = 1

CHECKS: Final = {
    "METHOD_UNKNOWN": "method",
    "IDENTITY_MISSING": "identity",
    "IDENTITY_INVALID": "identity",
    "SVID_EXPIRED": "identity",
    "IDENTITY_DENIED": "identity",
    "NETWORK_DENIED": "network",
    "TOKEN_MISSING": "token",
    "TOKEN_INVALID": "token",
    "TOKEN_EXPIRED": "token",
    "TOKEN_BINDING_MISMATCH": "token",
    "KEYS_UNAVAILABLE": "token",
    "ROLE_MISSING": "access",
    "SCOPE_MISSING": "access",
    "METADATA_INVALID": "metadata",
    "METADATA_TOO_LARGE": "metadata",
    "RATE_LIMITED": "rate",
    "OVERLOADED": "concurrency",
    "BUDGET_SPENT": "deadline",
    "MESSAGE_TOO_LARGE": "size",
    "MALFORMED_REQUEST": "message",
    "CARDINALITY": "message",
    "INVALID_REQUEST": "validation",
}
"""The check that gives each reason: a call that ends with one of these was refused by the guard."""


class AuditLine(msgspec.Struct, frozen=True):
    """Line v1. `code` is a status code's name, `time` RFC 3339 UTC, `prev` chains the lines."""

    v: int
    time: str
    event: str
    service: str
    method: str
    caller: str
    user_hash: str
    peer: str
    decision: str
    """allow, deny or would_deny."""
    check: str
    reason: str
    code: str
    policy: str
    """A digest of the policy that was in force."""
    trace_id: str
    prev: str
    """SHA-256 of the line before, "" for the first."""


class AuditTrail(Protocol):
    """Takes audit lines; a trail that fails must say so itself and never fail the call."""

    def write(self, line: AuditLine, /) -> None:
        """Adds a line; its `prev` is for the trail to fill in."""
        ...


class AuditFile:
    """An append-only file of JSON lines, mode 0600; each line holds the hash of the one before."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.path = path
        self._prev = _last_hash(path)
        self._lock = Lock()
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def write(self, line: AuditLine, /) -> None:
        """Appends a line in one write."""
        with self._lock:
            data = msgspec.json.encode(msgspec.structs.replace(line, prev=self._prev))
            os.write(self._file, data + b"\n")
            self._prev = hashlib.sha256(data).hexdigest()

    def close(self) -> None:
        """Flushes the file to disk and closes it."""
        with self._lock:
            os.fsync(self._file)
            os.close(self._file)


def user_hash(user: EndUser | None) -> str:
    """What stands for an end user in the trail: a digest of issuer and subject, "" for none."""
    if user is None:
        return ""
    return hashlib.sha256(f"{user.issuer}\n{user.subject}".encode()).hexdigest()[:16]


def timestamp(wall: Callable[[], float] = time.time) -> str:
    """Now, as RFC 3339 in UTC with milliseconds."""
    now = wall()
    whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now))
    return f"{whole}.{int(now % 1 * 1000):03d}Z"


def _last_hash(path: Path) -> str:
    """The hash that the next line chains to; a line cut short by a crash is closed and chained."""
    try:
        with path.open("rb+") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - 65536))
            tail = file.read()
            if tail and not tail.endswith(b"\n"):
                file.write(b"\n")
    except FileNotFoundError:
        return ""
    lines = tail.splitlines()
    return hashlib.sha256(lines[-1]).hexdigest() if lines else ""
