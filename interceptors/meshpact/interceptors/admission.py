"""Whether a call may run: a method's checks in their fixed order, compiled to one function.

Who calls, and whether it may, hardly changes from call to call: what was found for a certificate
(and a token, by its hash) is kept as a Standing, never beyond a change of the role bindings or of
the token issuer's keys. After a second, trust in the certificate and the time of both are looked at
anew.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from hashlib import sha256
from typing import Any, Final

import msgspec

from meshpact.interceptors import deadline, identity, metadata, network, tokens
from meshpact.interceptors.access import BindingsSource, compile_access
from meshpact.interceptors.call import Call, Caller, CallInfo, MetadataPairs, Wire
from meshpact.interceptors.concurrency import Slots, overloaded
from meshpact.interceptors.errors import StatusError
from meshpact.interceptors.identity import PEM_KEY, Peers
from meshpact.interceptors.keys import Refreshable
from meshpact.interceptors.policy import MethodPolicy, RateKey
from meshpact.interceptors.rate import Gcra, limited
from meshpact.interceptors.running import Registry, denied
from meshpact.interceptors.status import masked
from meshpact.interceptors.tokencache import Verified
from meshpact.interceptors.trace import Start, Started

STANDING_SECONDS: Final = 1.0
"""How long a caller's standing is believed: so long a changed trust bundle may take to count."""
STANDINGS: Final = 4096

NOBODY: Final = Caller("")


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
    """Why access would be denied, of a call that goes on under observation."""
    fault: StatusError | None = None
    """What was wrong with a message of the request: the call ends with it."""
    ended: bool = False
    serial: int = 0
    """Of the caller's certificate."""
    opening: bool = False
    """Whether the first response of a stream is being written."""
    intent: str = ""
    """Ties the audit line from before the call to the one after it."""
    admitted: bool = False
    """Whether it was in the registry of running calls: whoever takes it out there ends it."""
    lapses: bool = False
    """Whether `timer` is what is left of the end user's token."""


Begin = Callable[[Wire, MetadataPairs, bool, Any], Running | Refreshable]
"""(wire, its metadata, keys are fresh, what the adapter knows the call by) -> the call, its
`denial` set when refused; or what must be refreshed before the call can be judged. Never raises."""


class Standing(msgspec.Struct, gc=False):
    """A certificate's holder at one method, with one token if the method looks at tokens: verified,
    and allowed when there is no `verdict`."""

    leaf: bytes
    chain: bytes
    caller: Caller
    until: float
    bindings: object
    """The version of the role bindings by which it was found."""
    verdict: str
    proof: Verified | None
    """What the caller's token proves, None without one."""
    serial: int

    def __repr__(self) -> str:
        return "Standing()"


def compile_admission(
    path: str,
    policy: MethodPolicy,
    *,
    peers: Peers | None,
    bindings: BindingsSource | None,
    reachable: network.Check | None,
    verifier: tokens.Tokens | None,
    start: Start | None,
    max_metadata: int,
    registry: Registry | None,
    clock: Callable[[], float],
) -> Begin:
    """The admission of one method's calls. Rate and concurrency are counted in what it returns."""
    running = registry.calls if registry is not None else None
    demanded = not policy.access.unauthenticated
    verify = tokens.compile_tokens(policy.access, verifier)
    access = compile_access(policy.access, bindings, path[1:])
    standings: dict[bytes, Standing] = {}
    known = standings.get
    rate = policy.rate
    limiter = Gcra(rate) if rate is not None else None
    by_caller = rate is not None and rate.by is RateKey.CALLER
    slots = Slots(policy.concurrency) if policy.concurrency is not None else None
    default = policy.default_deadline
    maximum = policy.max_deadline if policy.max_deadline is not None else deadline.FOREVER

    def judge(
        wire: Wire,
        pairs: MetadataPairs,
        leaf: bytes,
        chain: bytes,
        key: bytes,
        authorization: str | bytes | None,
        fault: str,
        now: float,
        fresh: bool,
    ) -> tuple[Caller, int, str, str, StatusError | None]:
        """(caller, serial, token, verdict, refusal): identity, network, end user, access. What is
        found is kept under `key`, if there is one.

        Raises the refusal of a caller whose identity is not known.
        """
        caller = NOBODY
        lifetime, serial = 0.0, 0
        if peers is not None:
            found = peers.verify(leaf, chain)
            if isinstance(found, StatusError):
                if demanded:
                    raise found
            else:
                peer, lifetime = found
                caller, serial = peer.caller, peer.serial
                leaf, chain = peer.leaf, peer.chain  # one copy for all the standings of a caller
        elif demanded:
            raise identity.missing()
        token = verdict = ""
        proof: Verified | None = None
        version: object = None
        try:
            if bindings is not None:
                current = bindings.current
                version, denials = current.version, current.denied
                if denials.some and denials.refuses(caller.workload, serial):
                    raise denied()
            if reachable is not None and (address := reachable(wire.peer(), pairs)) is not None:
                raise network.denied(address)
            if verify is not None:
                caller, token, proof = verify(caller, authorization, fault, leaf, fresh)
            if access is not None:
                answer = access(caller.workload, caller.user)
                if isinstance(answer, StatusError):
                    raise answer
                verdict = answer or ""
        except StatusError as refusal:
            return caller, serial, token, verdict, refusal
        if key and caller.workload:
            if len(standings) >= STANDINGS:
                standings.clear()
            if proof is not None and verifier is not None:
                lifetime = min(lifetime, verifier.seconds_left(proof))
            until = now + min(STANDING_SECONDS, lifetime)
            standings[key] = Standing(leaf, chain, caller, until, version, verdict, proof, serial)
        return caller, serial, token, verdict, None

    def renew(standing: Standing, now: float) -> bool:
        """Looks anew at what may end a standing by itself: trust in its certificate, and time."""
        found = peers.verify(standing.leaf, standing.chain) if peers is not None else None
        if found is None or isinstance(found, StatusError):
            return False
        lifetime = found[1]
        if standing.proof is not None and verifier is not None:
            lifetime = min(lifetime, verifier.seconds_left(standing.proof))
        standing.until = now + min(STANDING_SECONDS, lifetime)
        return lifetime > 0

    def begin(wire: Wire, pairs: MetadataPairs, fresh: bool, handle: Any) -> Running | Refreshable:
        started = clock()
        caller, serial = NOBODY, 0
        judged = bindings.current.version if bindings is not None else None
        token = verdict = fault = ""
        authorization: str | bytes | None = None
        traceparent: str | bytes = ""
        tracestate: str | bytes = ""
        size, sound = 0, True
        denial: StatusError | None = None
        slot: Slots | None = None
        timer: float | None = None
        until = math.inf
        for key, value in pairs:
            size += len(key) + len(value) + metadata.ENTRY_OVERHEAD
            if not (isinstance(value, str) and value.isascii() and value.isprintable()):
                sound = False
            if key == "traceparent":
                traceparent = value
            elif key == "tracestate":
                tracestate = value
            elif key == "authorization":
                sound = sound and authorization is None
                authorization = value
        if not sound:
            fault = metadata.fault_of(pairs)
        leaf = chain = found = b""
        try:
            standing: Standing | None = None
            if peers is not None:
                leaf, chain = identity.certificates(wire.auth_context())
                if verify is None:
                    found = leaf[PEM_KEY]
                    standing = known(found)
                elif not fault:
                    found = leaf[PEM_KEY]
                    if isinstance(authorization, str):
                        found += sha256(authorization.encode()).digest()
                    standing = known(found)
            if (
                standing is not None
                and standing.leaf == leaf
                and standing.chain == chain
                and standing.bindings is judged
                and (standing.proof is None or standing.proof.holds)
                and (started < standing.until or renew(standing, started))
            ):
                caller, verdict = standing.caller, standing.verdict
                serial = standing.serial
                if standing.proof is not None and isinstance(authorization, str):
                    token = authorization.partition(" ")[2].strip(" ")
                if reachable is not None and (address := reachable(wire.peer(), pairs)) is not None:
                    raise network.denied(address)
            else:
                caller, serial, token, verdict, denial = judge(
                    wire, pairs, leaf, chain, found, authorization, fault, started, fresh
                )
                if denial is not None:
                    raise denial
            if fault:
                raise metadata.malformed(fault)
            if size > max_metadata:
                raise metadata.too_large(size, max_metadata)
            if limiter is not None:
                key = caller.workload if by_caller else _rate_key(limiter.rate.by, caller)
                wait = limiter.take(key, started)
                if wait:
                    raise limited(limiter.rate, wait)
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
            remaining = wire.time_remaining()
            if remaining is not None:
                until = started + remaining
        except tokens.Stale as stale:
            return stale.source
        except Exception as error:
            denial = masked(error, path, "could not be judged by the guard")
        if not (isinstance(traceparent, str) and isinstance(tracestate, str)):
            traceparent = tracestate = ""
        span = start(traceparent, tracestate) if start is not None else None
        call = Running(
            CallInfo(path, policy, caller, until, pairs, span or traceparent, tracestate),
            token,
            wire,
            (),
            started,
            denial,
            timer,
            slot,
            span,
            verdict,
            None,
            False,
            serial,
        )
        if denial is None and running is not None:
            call.admitted = True
            running[call] = handle
            if bindings is not None and bindings.current.version is not judged:
                # Whoever ended the calls of denied identities may not have seen this one.
                denials = bindings.current.denied
                if denials.some and denials.refuses(caller.workload, serial):
                    call.denial = denied()
        return call

    return begin


def _rate_key(by: RateKey, caller: Caller) -> str:
    if by is RateKey.CALLER:
        return caller.workload
    if by is RateKey.METHOD:
        return ""
    user = caller.user
    return f"{user.issuer}\n{user.subject}" if user is not None else caller.workload
