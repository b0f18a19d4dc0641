"""How a call ended: one status for its caller, and the same for every observer."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from meshpact.interceptors.admission import Running
from meshpact.interceptors.errors import DOMAIN, Code, ContractError, StatusError
from meshpact.interceptors.metrics import RpcMetrics
from meshpact.interceptors.policy import AuditLevel, MethodPolicy
from meshpact.interceptors.running import Registry
from meshpact.interceptors.status import Ending, ending, funnel
from meshpact.interceptors.trace import finish

log = logging.getLogger("meshpact.guard")

End = Callable[[Running, BaseException | None], Ending | None]
"""(call, what its handler raised or None) -> what to send when it failed. Gives back what the call
held and tells the observers; only the first time for each call. Never raises."""


def compile_end(
    path: str,
    name: str,
    service: str,
    policy: MethodPolicy,
    declared: frozenset[type[ContractError]],
    *,
    metrics: RpcMetrics | None,
    audit: Callable[[Running, StatusError | None, bool], None] | None,
    registry: Registry | None,
    clock: Callable[[], float],
) -> End:
    """The ending of one method's calls. `name` is what metrics call it, `service` its full name."""
    observe_ok = metrics.bind(name, Code.OK) if metrics is not None else None
    if policy.audit is AuditLevel.NONE:
        audit = None
    everything = policy.audit is AuditLevel.ALL
    running: dict[Running, Any] = registry.calls if registry is not None else {}

    def end(call: Running, raised: BaseException | None) -> Ending | None:
        if call.ended or (call.admitted and running.pop(call, running) is running):
            return None
        call.ended = True
        if call.slot is not None:
            call.slot.release()
        now = clock()
        if raised is None:
            error, code = None, Code.OK
        else:
            error = _error(raised, now >= call.info.deadline, declared, path)
            code = error.code
        if audit is not None and (error is not None or everything or call.verdict):
            denied = error is not None and (error is call.denial or error is call.fault)
            if denied or everything or call.verdict:
                audit(call, error, denied)
        try:
            if observe_ok is not None and metrics is not None:
                observe = observe_ok if error is None else metrics.bind(name, code)
                observe(now - call.started)
                if call.verdict:
                    metrics.would_deny(name, call.verdict)
            if call.span is not None:
                finish(call.span, code, error.reason if error is not None else "")
        except Exception:
            log.exception("%s: an observer failed; the call went on", path)
        return ending(error, service, call.trailing) if error is not None else None

    return end


def _error(
    raised: BaseException,
    deadline_passed: bool,
    declared: frozenset[type[ContractError]],
    path: str,
) -> StatusError:
    if not isinstance(raised, asyncio.CancelledError | GeneratorExit):
        return funnel(raised, declared, path)
    if deadline_passed:
        return StatusError(Code.DEADLINE_EXCEEDED, "Deadline exceeded", domain=DOMAIN)
    return StatusError(Code.CANCELLED, "Cancelled by the caller", domain=DOMAIN)
