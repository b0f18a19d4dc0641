"""The guard: each method's policy compiled once to what a call of it must pass.

The order of checks is fixed: method and policy, peer identity, network, end user, access,
metadata, rate, concurrency, deadline, message. The first that refuses answers.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

from google.protobuf.message import Message

from meshpact.interceptors import audit as audit_trail
from meshpact.interceptors import deadline, errors, identity, metadata, network, tokens
from meshpact.interceptors.access import WOULD_DENY, BindingsSource, compile_access
from meshpact.interceptors.call import Call, Caller, CallInfo, EndUser, Metadata, Wire
from meshpact.interceptors.concurrency import Slots, overloaded
from meshpact.interceptors.conventions import RPC_METHOD_OTHER
from meshpact.interceptors.errors import Code, StatusError
from meshpact.interceptors.identity import Peers
from meshpact.interceptors.keys import KeySource
from meshpact.interceptors.message import compile_accept, compile_emit
from meshpact.interceptors.metrics import RpcMetrics
from meshpact.interceptors.policy import (
    Access,
    AuditLevel,
    EndUserRule,
    MethodPolicy,
    PolicyError,
    RateKey,
)
from meshpact.interceptors.rate import Gcra, limited
from meshpact.interceptors.spec import MethodSpec
from meshpact.interceptors.status import Ending, ending, funnel, masked
from meshpact.interceptors.trace import Started, Tracing, finish, parse_traceparent

log = logging.getLogger("meshpact.guard")

_NOBODY: Final = Caller("")


class Running(Call):
    """A call under the guard: what the handler sees, and what must be given back at its end."""

    __slots__ = (
        "denial",
        "ended",
        "fault",
        "slot",
        "started",
        "timer",
        "trace",
        "verdict",
    )

    def __init__(self, info: CallInfo, token: str, wire: Wire, started: float) -> None:
        super().__init__(info, token, wire)
        self.started = started
        self.denial: StatusError | None = None
        """Why the guard refuses the call; None when it may run."""
        self.fault: StatusError | None = None
        """What was wrong with a message of the request stream: the call ends with it."""
        self.timer: float | None = None
        """Seconds after which the server ends the call itself; None when the transport does."""
        self.slot: Slots | None = None
        self.trace: Started | None = None
        self.verdict = ""
        self.ended = False


@dataclass(frozen=True, slots=True, eq=False)
class GuardedMethod:
    """One method under guard. An adapter calls, for each call: `begin`; `accept` for each request
    message; `emit` for each response; `end` exactly once."""

    path: str
    begin: Callable[[Wire, bool], Running | KeySource]
    """(wire, keys are fresh) -> the call, its `denial` set when refused; or the keys that must be
    refreshed before the call can be judged. Never raises."""
    accept: Callable[[bytes], Message]
    """Bytes -> a request that holds what the contract promises, or raises StatusError."""
    emit: Callable[[Any], bytes]
    """A handler's response -> bytes; raises when it is not what the contract says."""
    end: Callable[[Running, BaseException | None], Ending | None]
    """Gives back what the call held, tells the observers, and says what to send when it failed."""


class Guard:
    """What guards every method of one server, called `service` in mesh.yaml and the audit trail.

    Without `peers` no caller has an identity, without `bindings` nobody has a role, without
    `tokens` no token is valid: what is absent denies.
    """

    def __init__(
        self,
        *,
        service: str = "",
        peers: Peers | None = None,
        bindings: BindingsSource | None = None,
        networks: network.Networks | None = None,
        tokens: tokens.Tokens | None = None,
        tracing: Tracing | None = None,
        metrics: RpcMetrics | None = None,
        audit: audit_trail.AuditTrail | None = None,
        max_metadata_bytes: int = metadata.DEFAULT_MAX_BYTES,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._service = service
        self._peers = peers
        self._bindings = bindings
        self._networks = networks
        self._tokens = tokens
        self._tracing = tracing
        self._metrics = metrics
        self._audit = audit
        self._max_metadata_bytes = max_metadata_bytes
        self._clock = clock
        self._wall = wall

    def compile(self, spec: MethodSpec[Any, Any]) -> GuardedMethod:
        """Compiles a method's policy. Raises PolicyError when it has none or a contradictory one.

        Call it once a method: rate limits and concurrency caps live in what it returns.
        """
        policy = spec.policy
        return GuardedMethod(
            path=spec.path,
            begin=self._compile_begin(spec.path, spec.path[1:], policy),
            accept=compile_accept(spec, policy),
            emit=compile_emit(spec, policy),
            end=self._compile_end(
                spec.path, spec.path[1:], spec.service, policy, frozenset(spec.errors)
            ),
        )

    def refuse_unknown(self, path: str) -> GuardedMethod:
        """What answers a path that no registered method has: METHOD_UNKNOWN."""
        begin = self._compile_begin(path, RPC_METHOD_OTHER, _UNKNOWN_POLICY)
        return GuardedMethod(
            path=path,
            begin=lambda wire, _fresh: _refused(begin(wire, True), _unknown()),
            accept=Message.FromString,
            emit=Message.SerializeToString,
            end=self._compile_end(path, RPC_METHOD_OTHER, "", _UNKNOWN_POLICY, frozenset()),
        )

    def _compile_begin(
        self, path: str, name: str, policy: MethodPolicy
    ) -> Callable[[Wire, bool], Running | KeySource]:
        service, peers = self._service, self._peers
        clock, tracing = self._clock, self._tracing
        max_metadata = self._max_metadata_bytes
        demanded = not policy.access.unauthenticated
        networks = self._networks
        if networks is not None and not networks.restricts(service, path):
            networks = None
        end_user = policy.access.end_user
        verifier = self._tokens or tokens.Tokens(())
        reads_token = end_user is not EndUserRule.NONE
        needs_token = end_user is EndUserRule.REQUIRED
        audience = policy.access.audience
        access = compile_access(policy.access, self._bindings)
        rate = policy.rate
        limiter = Gcra(rate, clock) if rate is not None else None
        slots = Slots(policy.concurrency) if policy.concurrency is not None else None
        default, maximum = policy.default_deadline, policy.max_deadline

        def begin(wire: Wire, fresh: bool) -> Running | KeySource:
            started = clock()
            pairs = tuple(wire.invocation_metadata() or ())
            seen = metadata.scan(pairs)
            parent = (
                parse_traceparent(seen.traceparent, seen.tracestate) if seen.traceparent else None
            )
            workload = token = verdict = ""
            user: EndUser | None = None
            denial: StatusError | None = None
            slot: Slots | None = None
            timer: float | None = None
            until = started
            try:
                leaf = b""
                if peers is not None:
                    facts = wire.auth_context()
                    found = peers.workload(facts)
                    if isinstance(found, str):
                        workload = found
                        leaf = identity.leaf_of(facts)
                    elif demanded:
                        raise found
                elif demanded:
                    raise identity.missing()
                if networks is not None:
                    peer = wire.peer()
                    if not networks.allows(service, path, network.ip_of(peer)):
                        raise network.denied(peer)
                if reads_token:
                    if seen.authorizations > 1:
                        raise metadata.malformed(seen.fault)
                    if seen.authorization is not None:
                        user = verifier.verify(seen.authorization, audience, leaf, fresh=fresh)
                        token = seen.authorization.partition(" ")[2]
                    elif needs_token:
                        raise tokens.missing()
                if access is not None:
                    answer = access(workload, user)
                    if answer is not None:
                        if isinstance(answer, StatusError):
                            raise answer
                        verdict = answer
                if seen.fault:
                    raise metadata.malformed(seen.fault)
                if seen.size > max_metadata:
                    raise metadata.too_large(seen.size, max_metadata)
                if limiter is not None and rate is not None:
                    wait = limiter.take(_rate_key(rate.by, workload, user))
                    if wait:
                        raise limited(rate, wait)
                if slots is not None:
                    if not slots.acquire():
                        raise overloaded(slots.limit)
                    slot = slots
                seconds, timer = deadline.budget(wire.time_remaining(), default, maximum)
                if seconds <= 0:
                    raise deadline.spent()
                until = started + seconds
            except StatusError as refusal:
                denial = refusal
            except tokens.Stale as stale:
                return stale.keys
            except Exception as error:
                denial = masked(error, path, "could not be judged by the guard")
            trace = tracing.start(name, parent) if tracing is not None else None
            call = Running(
                CallInfo(
                    path,
                    policy,
                    Caller(workload, user) if user is not None or workload else _NOBODY,
                    until,
                    Metadata(pairs),
                    trace.context if trace is not None else parent,
                ),
                token,
                wire,
                started,
            )
            call.denial = denial
            call.slot = slot
            call.timer = timer
            call.trace = trace
            call.verdict = verdict
            return call

        return begin

    def _compile_end(
        self,
        path: str,
        name: str,
        service: str,
        policy: MethodPolicy,
        declared: frozenset[type[errors.ContractError]],
    ) -> Callable[[Running, BaseException | None], Ending | None]:
        clock = self._clock
        observe = self._metrics.bind(name) if self._metrics is not None else None
        trail = self._audit if policy.audit is not AuditLevel.NONE else None
        everything = policy.audit is AuditLevel.ALL
        digest = hashlib.sha256(repr(policy).encode()).hexdigest()[:12]
        wall = self._wall

        def end(call: Running, raised: BaseException | None) -> Ending | None:
            if call.ended:
                return None
            call.ended = True
            if call.slot is not None:
                call.slot.release()
            now = clock()
            error: StatusError | None = None
            if raised is not None:
                if isinstance(raised, asyncio.CancelledError | GeneratorExit):
                    error = _abandoned(now >= call.info.deadline)
                else:
                    error = funnel(raised, declared, path)
            code = Code.OK if error is None else error.code
            if trail is not None and (error is not None or everything or call.verdict):
                denied = error is not None and error is (call.denial or call.fault)
                if denied or everything or call.verdict:
                    try:
                        trail.write(
                            _audit_line(
                                call, self._service, error, digest, denied=denied, wall=wall
                            )
                        )
                    except Exception:
                        log.exception("%s: the audit trail could not be written", path)
            try:
                if observe is not None:
                    observe(code, now - call.started)
                if call.trace is not None and call.trace.span is not None:
                    finish(call.trace.span, code, error.reason if error is not None else "")
            except Exception:
                log.exception("%s: an observer failed; the call went on", path)
            return ending(error, service, call.trailing) if error is not None else None

        return end


def check_policies(specs: Iterable[MethodSpec[Any, Any]]) -> list[PolicyError]:
    """Every method whose policy is missing or contradictory."""
    found: list[PolicyError] = []
    for spec in specs:
        try:
            _ = spec.policy
        except PolicyError as error:
            found.append(error)
    return found


def _rate_key(by: RateKey, workload: str, user: EndUser | None) -> str:
    if by is RateKey.METHOD:
        return ""
    if by is RateKey.END_USER and user is not None:
        return f"{user.issuer}\n{user.subject}"
    return workload


def _unknown() -> StatusError:
    return StatusError(
        errors.METHOD_UNKNOWN.code,
        "This server has no such method",
        reason=errors.METHOD_UNKNOWN.name,
        domain=errors.DOMAIN,
    )


def _abandoned(deadline_passed: bool) -> StatusError:
    if deadline_passed:
        return StatusError(Code.DEADLINE_EXCEEDED, "Deadline exceeded", domain=errors.DOMAIN)
    return StatusError(Code.CANCELLED, "Cancelled by the caller", domain=errors.DOMAIN)


def _refused(call: Running | KeySource, refusal: StatusError) -> Running | KeySource:
    if isinstance(call, Running):
        call.denial = refusal
    return call


def _audit_line(
    call: Running,
    service: str,
    error: StatusError | None,
    digest: str,
    *,
    denied: bool,
    wall: Callable[[], float],
) -> audit_trail.AuditLine:
    info = call.info
    reason = error.reason if error is not None else "ROLE_MISSING" if call.verdict else ""
    return audit_trail.AuditLine(
        v=audit_trail.VERSION,
        time=audit_trail.timestamp(wall),
        event="call",
        service=service,
        method=info.method,
        caller=info.caller.workload,
        user_hash=audit_trail.user_hash(info.caller.end_user),
        peer=call.peer,
        decision="deny" if denied else WOULD_DENY if call.verdict else "allow",
        check=audit_trail.CHECKS.get(reason, "") if denied or call.verdict else "",
        reason=reason,
        code=(error.code if error is not None else Code.OK).name,
        policy=digest,
        trace_id=info.trace.trace_id if info.trace is not None else "",
        prev="",
    )


_UNKNOWN_POLICY: Final = MethodPolicy(
    access=Access(unauthenticated="nothing is called"),
    default_deadline=1.0,
    max_deadline=1.0,
    audit=AuditLevel.DENIALS,
)
