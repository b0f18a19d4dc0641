"""The guard: each method's policy compiled once to what a call of it must pass.

The order of checks is fixed: method and policy, peer identity, network, end user, access,
metadata, rate, concurrency, deadline, message. The first that refuses answers.
"""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from google.protobuf.message import Message

from meshpact.interceptors import errors, metadata, network
from meshpact.interceptors.access import BindingsSource
from meshpact.interceptors.admission import Begin as Begin
from meshpact.interceptors.admission import Running as Running
from meshpact.interceptors.admission import compile_admission
from meshpact.interceptors.audit import AuditTrail
from meshpact.interceptors.auditlines import Intent, compile_audit, compile_intent
from meshpact.interceptors.call import MetadataPairs, Wire
from meshpact.interceptors.conventions import RPC_METHOD_OTHER
from meshpact.interceptors.errors import StatusError
from meshpact.interceptors.identity import Peers
from meshpact.interceptors.keys import Refreshable
from meshpact.interceptors.lapse import until_lapse
from meshpact.interceptors.message import compile_accept, compile_emit, compile_serialize
from meshpact.interceptors.metrics import RpcMetrics
from meshpact.interceptors.outcome import End, compile_end
from meshpact.interceptors.policy import Access, AuditLevel, EndUserRule, MethodPolicy
from meshpact.interceptors.running import Registry
from meshpact.interceptors.spec import MethodSpec
from meshpact.interceptors.tokens import Tokens
from meshpact.interceptors.trace import Tracing


@dataclass(frozen=True, slots=True, eq=False)
class GuardedMethod:
    """One method under guard. An adapter calls, for each call: `begin`; `accept` for each request
    message; `emit` for each response; `end` exactly once."""

    path: str
    begin: Begin
    accept: Callable[[bytes], Message]
    """Bytes -> a request that holds what the contract promises; or raises StatusError, noted as the
    fault of the current call (`current_call`), which then ends with it."""
    emit: Callable[[Any], bytes]
    """A handler's response -> bytes; raises when it is not what the contract says."""
    response: type[Message]
    serialize: Callable[[Any], bytes]
    """The same for the messages of a stream, which are of the class `response`; the transport
    refuses what is too large."""
    end: End
    intent: Intent | None
    """What must be safe on disk before a call runs; None where the policy does not ask for it."""
    registry: Registry | None
    """The calls that run; None where none ever does."""
    guard: Guard
    """Ends the calls of whoever is denied, and so lives as long as its methods do."""


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
        tokens: Tokens | None = None,
        tracing: Tracing | None = None,
        metrics: RpcMetrics | None = None,
        audit: AuditTrail | None = None,
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
        self._registries: list[Registry] = []
        if bindings is not None:
            cut = weakref.WeakMethod(self._cut_denied)
            weakref.finalize(self, bindings.subscribe(lambda: _call(cut)))

    def compile(self, spec: MethodSpec[Any, Any]) -> GuardedMethod:
        """Compiles a method's policy. Raises PolicyError when it has none or a contradictory one.

        Call it once a method: rate limits and concurrency caps live in what it returns.
        """
        policy, name = spec.policy, spec.path[1:]
        emit = compile_emit(spec, policy)
        registry = Registry()
        self._registries.append(registry)
        return GuardedMethod(
            path=spec.path,
            begin=self._begin(
                spec.path,
                name,
                policy,
                registry,
                streaming=spec.request_streaming or spec.response_streaming,
            ),
            accept=compile_accept(spec, policy),
            emit=emit,
            response=spec.response,
            serialize=compile_serialize(spec, policy, emit),
            end=self._end(spec.path, name, spec.service, policy, frozenset(spec.errors), registry),
            intent=compile_intent(self._service, policy, self._audit, self._wall),
            registry=registry,
            guard=self,
        )

    def refuse_unknown(self, path: str) -> GuardedMethod:
        """What answers a path that no registered method has: METHOD_UNKNOWN."""
        begin = self._begin(path, RPC_METHOD_OTHER, _UNKNOWN_POLICY, None)

        def refuse(wire: Wire, pairs: MetadataPairs, _: bool, handle: Any) -> Running | Refreshable:
            call = begin(wire, pairs, True, handle)
            if isinstance(call, Running):
                call.denial = _unknown()
            return call

        return GuardedMethod(
            path=path,
            begin=refuse,
            accept=Message.FromString,
            emit=Message.SerializeToString,
            response=Message,
            serialize=Message.SerializeToString,
            end=self._end(path, RPC_METHOD_OTHER, "", _UNKNOWN_POLICY, frozenset(), None),
            intent=None,
            registry=None,
            guard=self,
        )

    def _cut_denied(self) -> None:
        """Ends the running calls of whoever is denied now."""
        denials = self._bindings.current.denied if self._bindings is not None else None
        if denials is not None and denials.some:
            for registry in self._registries:
                registry.cut_denied(denials)

    def _begin(
        self,
        path: str,
        name: str,
        policy: MethodPolicy,
        registry: Registry | None,
        *,
        streaming: bool = False,
    ) -> Begin:
        networks = self._networks
        begin = compile_admission(
            path,
            policy,
            peers=self._peers,
            bindings=self._bindings,
            reachable=network.compile_networks(
                networks.lists(self._service, path), networks.proxies
            )
            if networks is not None
            else None,
            verifier=self._tokens,
            start=self._tracing.bind(name) if self._tracing is not None else None,
            max_metadata=self._max_metadata_bytes,
            registry=registry,
            clock=self._clock,
        )
        lapses = streaming and policy.access.end_user is not EndUserRule.NONE
        return until_lapse(begin, self._wall) if lapses else begin

    def _end(
        self,
        path: str,
        name: str,
        service: str,
        policy: MethodPolicy,
        declared: frozenset[type[errors.ContractError]],
        registry: Registry | None,
    ) -> End:
        trail = self._audit
        return compile_end(
            path,
            name,
            service,
            policy,
            declared,
            metrics=self._metrics,
            audit=compile_audit(self._service, policy, trail, self._wall)
            if trail is not None
            else None,
            registry=registry,
            clock=self._clock,
        )


def _call(method: weakref.WeakMethod[Callable[[], None]]) -> None:
    found = method()
    if found is not None:
        found()


def _unknown() -> StatusError:
    return StatusError(
        errors.METHOD_UNKNOWN.code,
        "This server has no such method",
        reason=errors.METHOD_UNKNOWN.name,
        domain=errors.DOMAIN,
    )


_UNKNOWN_POLICY: Final = MethodPolicy(
    access=Access(unauthenticated="nothing is called"),
    default_deadline=1.0,
    max_deadline=1.0,
    audit=AuditLevel.DENIALS,
)
