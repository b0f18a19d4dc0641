"""The lines of the audit trail: one for each refused call, or for each call where a policy says so.

Lines hold who, what and why, never payloads or secrets, and nothing but printable ASCII: whatever
comes from outside is escaped, so that no caller writes into an auditor's terminal.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from concurrent.futures import Future
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
    "AUDIT_UNAVAILABLE": "audit",
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
    call: str = ""
    """Ties the intent of a call to its end, where the policy has `audit.required`; else ""."""
    prev: str = ""
    """SHA-256 of the line before, "" for the first."""


class AuditEvent(msgspec.Struct, frozen=True):
    """What the trail says of itself. `event` is one of

    `begin`: the first line of a file, number `file` of the trail, after `lines` lines before it;
    `gap`: `lines` lines were lost since `since`, because of `text`;
    `heal`: a process ended while it wrote: the last `lines` lines before this one were not counted
    yet; with `after`, the last of them is cut;
    `broken`: the trail was not what it was when it was last written: `text` says how.
    """

    v: int
    time: str
    event: str
    service: str
    file: int = 0
    lines: int = 0
    since: str = ""
    text: str = ""
    after: str = ""
    """Hash of the last whole line, where a cut one stands between that and this."""
    prev: str = ""


CALL: Final = "call"
INTENT: Final = "intent"
"""`event` of the line that is on disk before a call runs, where the policy has `audit.required`."""


CALL_EVENTS: Final = frozenset({CALL, INTENT})
TRAIL_EVENTS: Final = frozenset({"begin", "gap", "heal", "broken"})


class AuditTrail(Protocol):
    """Takes audit lines, whose `prev` is for the trail to fill in. What fails is the trail's to
    tell: it never fails or holds up a call that does not ask for that."""

    def write(self, line: AuditLine, /) -> None:
        """Adds a line some time soon. Never waits."""
        ...

    def record(self, line: AuditLine, /) -> Future[None]:
        """Adds a line; done when it is safe on disk, failed (OSError) when that is impossible."""
        ...


def escaped(text: str, limit: int = 512) -> str:
    """A text from outside as printable ASCII of bounded length, with Python's escapes."""
    text = text[:limit]
    if text.isascii() and text.isprintable() and "\\" not in text:
        return text
    return text.encode("unicode_escape").decode("ascii")


def user_hash(user: EndUser | None) -> str:
    """What stands for an end user in the trail: a digest of issuer and subject, "" for none."""
    if user is None:
        return ""
    return hashlib.sha256(
        f"{user.issuer}\n{user.subject}".encode("utf-8", "surrogatepass")
    ).hexdigest()[:16]


def timestamp(wall: Callable[[], float] = time.time) -> str:
    """Now, as RFC 3339 in UTC with milliseconds."""
    now = wall()
    whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now))
    return f"{whole}.{int(now % 1 * 1000):03d}Z"
