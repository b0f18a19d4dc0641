"""The guard: each method's policy compiled once to what a call of it must pass.

The order of checks is fixed: method and policy, peer identity, network, end user, access,
metadata, rate, concurrency, deadline, message. The first that refuses answers.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from google.protobuf.message import Message

from meshpact.interceptors import audit as audit_trail
from meshpact.interceptors import deadline, errors, identity, metadata, network, tokens
from meshpact.interceptors.access import WOULD_DENY, BindingsSource, compile_access
from meshpact.interceptors.call import Call, Caller, CallInfo, Wire
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
from meshpact.interceptors.trace import Started, Tracing, finish
from meshpact.interceptors.tracecontext import is_traceparent

log = logging.getLogger("meshpact.guard")

_NOBODY: Final = Caller("")


class Running(Call, eq=False):
    """A call under the guard: what the handler sees, and what must be given back at its end."""

    started: float = 0.0
    denial: StatusError | None = None
    """Why the guard refuses the call; None when it may run."""
    timer: float | None = None
    """Seconds after which the server ends the call itself; None when the transport does."""
    slot: Slots | None = None
    span: Started | None = None
    verdict: str = ""
    fault: StatusError | None = None
    """What was wrong with a message of the request: the call ends with it."""
    ended: bool = False


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
        peers, clock = self._peers, self._clock
        start = self._tracing.bind(name) if self._tracing is not None else None
        max_metadata = self._max_metadata_bytes
        demanded = not policy.access.unauthenticated
        reachable = (
            network.compile_networks(self._networks.lists(self._service, path))
            if self._networks is not None
            else None
        )
        verify = _compile_tokens(policy.access, self._tokens)
        access = compile_access(policy.access, self._bindings)
        rate = policy.rate
        limiter = Gcra(rate, clock) if rate is not None else None
        slots = Slots(policy.concurrency) if policy.concurrency is not None else None
        default = policy.default_deadline
        maximum = policy.max_deadline if policy.max_deadline is not None else deadline.FOREVER

        def begin(wire: Wire, fresh: bool) -> Running | KeySource:
            started = clock()
            caller = _NOBODY
            token = verdict = traceparent = tracestate = ""
            denial: StatusError | None = None
            slot: Slots | None = None
            timer: float | None = None
            until = started
            pairs = tuple(wire.invocation_metadata() or ())
            sent, size, fault = metadata.scan(pairs)
            if "traceparent" in sent:
                traceparent, tracestate = _trace_of(sent)
            try:
                leaf = b""
                if peers is not None:
                    facts = wire.auth_context()
                    found = peers.caller(facts)
                    if isinstance(found, Caller):
                        caller = found
                        leaf = identity.leaf_of(facts)
                    elif demanded:
                        raise found
                elif demanded:
                    raise identity.missing()
                if reachable is not None and not reachable(peer := wire.peer()):
                    raise network.denied(peer)
                if verify is not None:
                    caller, token = verify(caller, sent, fault, leaf, fresh)
                if access is not None:
                    answer = access(caller.workload, caller.end_user)
                    if answer is not None:
                        if isinstance(answer, StatusError):
                            raise answer
                        verdict = answer
                if fault:
                    raise metadata.malformed(fault)
                if size > max_metadata:
                    raise metadata.too_large(size, max_metadata)
                if limiter is not None and rate is not None:
                    wait = limiter.take(_rate_key(rate.by, caller))
                    if wait:
                        raise limited(rate, wait)
                if slots is not None:
                    if not slots.acquire():
                        raise overloaded(slots.limit)
                    slot = slots
                remaining = wire.time_remaining()
                if remaining is None or remaining > deadline.FOREVER:
                    remaining = timer = default
                elif remaining > maximum:
                    remaining = timer = maximum
                elif remaining <= 0:
                    raise deadline.spent()
                until = started + remaining
            except StatusError as refusal:
                denial = refusal
            except tokens.Stale as stale:
                return stale.keys
            except Exception as error:
                denial = masked(error, path, "could not be judged by the guard")
            span: Started | None = None
            if start is not None:
                span = start(traceparent, tracestate)
                traceparent = span.traceparent
            return Running(
                CallInfo(path, policy, caller, until, pairs, traceparent, tracestate),
                token,
                wire,
                (),
                started,
                denial,
                timer,
                slot,
                span,
                verdict,
            )

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
        metrics = self._metrics
        observe_ok = metrics.bind(name, Code.OK) if metrics is not None else None
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
            if raised is None:
                error, code = None, Code.OK
            else:
                error = _error(raised, now >= call.info.deadline, declared, path)
                code = error.code
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
                if metrics is not None:
                    observe = metrics.bind(name, code) if error is not None else observe_ok
                    if observe is not None:
                        observe(now - call.started)
                if call.span is not None and call.span.span is not None:
                    finish(call.span.span, code, error.reason if error is not None else "")
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


_Verify = Callable[[Caller, Mapping[str, str | bytes], str, bytes, bool], tuple[Caller, str]]


def _compile_tokens(access: Access, verifier: tokens.Tokens | None) -> _Verify | None:
    """The end-user check of one method; None when it does not look at tokens."""
    if access.end_user is EndUserRule.NONE:
        return None
    required = access.end_user is EndUserRule.REQUIRED
    audience = access.audience
    known = verifier or tokens.Tokens(())

    def verify(
        caller: Caller, sent: Mapping[str, str | bytes], fault: str, leaf: bytes, fresh: bool
    ) -> tuple[Caller, str]:
        header = sent.get("authorization")
        if header is None:
            if required:
                raise tokens.missing()
            return caller, ""
        if isinstance(header, bytes) or fault.startswith(metadata.TWICE):
            raise metadata.malformed(fault)
        user = known.verify(header, audience, leaf, fresh=fresh)
        return Caller(caller.workload, user), header.partition(" ")[2].strip(" ")

    return verify


def _trace_of(sent: Mapping[str, str | bytes]) -> tuple[str, str]:
    """(`traceparent`, `tracestate`) as sent, empty when the first is not valid."""
    parent, state = sent["traceparent"], sent.get("tracestate", "")
    if isinstance(parent, bytes) or not is_traceparent(parent):
        return "", ""
    return parent, state if isinstance(state, str) else ""


def _rate_key(by: RateKey, caller: Caller) -> str:
    if by is RateKey.CALLER:
        return caller.workload
    if by is RateKey.METHOD:
        return ""
    user = caller.end_user
    return f"{user.issuer}\n{user.subject}" if user is not None else caller.workload


def _unknown() -> StatusError:
    return StatusError(
        errors.METHOD_UNKNOWN.code,
        "This server has no such method",
        reason=errors.METHOD_UNKNOWN.name,
        domain=errors.DOMAIN,
    )


def _error(
    raised: BaseException,
    deadline_passed: bool,
    declared: frozenset[type[errors.ContractError]],
    path: str,
) -> StatusError:
    if not isinstance(raised, asyncio.CancelledError | GeneratorExit):
        return funnel(raised, declared, path)
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
        trace_id=info.traceparent[3:35],
        prev="",
    )


_UNKNOWN_POLICY: Final = MethodPolicy(
    access=Access(unauthenticated="nothing is called"),
    default_deadline=1.0,
    max_deadline=1.0,
    audit=AuditLevel.DENIALS,
)
