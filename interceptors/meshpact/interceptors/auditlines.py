"""From calls to lines of the audit trail, compiled once for each method."""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Final

from meshpact.interceptors import audit, errors
from meshpact.interceptors.access import WOULD_DENY
from meshpact.interceptors.admission import Running
from meshpact.interceptors.errors import Code, StatusError
from meshpact.interceptors.policy import MethodPolicy

log = logging.getLogger("meshpact.guard")

WAIT: Final = 5.0
"""Seconds that a call waits at most for its line to be safe on disk."""
_SHORT: Final = 128
"""Characters of what is short by nature."""

Write = Callable[[Running, StatusError | None, bool], None]
"""Writes the end of a call: (call, its error, the guard refused it). Never raises or waits."""

Intent = Callable[[Running], "Future[None]"]
"""Records that a call is about to run: done when that is safe on disk, else failed (OSError)."""


def compile_audit(
    service: str,
    policy: MethodPolicy,
    to: audit.AuditTrail,
    wall: Callable[[], float] = time.time,
) -> Write:
    """What writes the ends of one method's calls into the trail."""
    digest = policy.digest

    def write(call: Running, error: StatusError | None, denied: bool) -> None:
        try:
            to.write(_line(service, digest, call, error, denied, audit.CALL, wall))
        except Exception:
            log.exception("%s: the audit trail could not be written", call.info.method)

    return write


def compile_intent(
    service: str,
    policy: MethodPolicy,
    to: audit.AuditTrail | None,
    wall: Callable[[], float] = time.time,
) -> Intent | None:
    """What records a method's calls before they run; None where the policy does not ask for it."""
    if not policy.audit_required:
        return None
    digest = policy.digest

    def record(call: Running) -> Future[None]:
        call.intent = secrets.token_hex(8)
        try:
            if to is None:
                raise OSError("there is no audit trail")
            return to.record(_line(service, digest, call, None, False, audit.INTENT, wall))
        except Exception as error:
            failed: Future[None] = Future()
            failed.set_exception(error if isinstance(error, OSError) else OSError(str(error)))
            return failed

    return record


def unavailable(error: BaseException) -> StatusError:
    """The refusal of a call whose line cannot be made safe."""
    log.error("a call was refused, as it could not be audited: %s", error)
    return StatusError(
        errors.AUDIT_UNAVAILABLE.code,
        "Unavailable: calls of this method must be audited, and the audit trail cannot be written",
        reason=errors.AUDIT_UNAVAILABLE.name,
        domain=errors.DOMAIN,
    )


def _line(
    service: str,
    digest: str,
    call: Running,
    error: StatusError | None,
    denied: bool,
    event: str,
    wall: Callable[[], float],
) -> audit.AuditLine:
    info = call.info
    would_deny = bool(call.verdict) and not denied
    reason = call.verdict if would_deny or error is None else error.reason
    code = "" if event == audit.INTENT else (error.code if error is not None else Code.OK).name
    return audit.AuditLine(
        v=audit.VERSION,
        time=audit.timestamp(wall),
        event=event,
        service=service,
        method=audit.escaped(info.method),
        caller=audit.escaped(info.caller.workload, 2048),
        user_hash=audit.user_hash(info.caller.user),
        peer=audit.escaped(call.peer, _SHORT),
        decision="deny" if denied else WOULD_DENY if would_deny else "allow",
        check=audit.CHECKS.get(reason, "") if denied or would_deny else "",
        reason=audit.escaped(reason, _SHORT),
        code=code,
        policy=digest,
        trace_id=audit.escaped(info.traceparent[3:35], 32),
        call=call.intent,
    )
