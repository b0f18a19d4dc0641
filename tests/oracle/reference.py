"""The reference oracle: what the guard must decide, in the shortest form that can be reviewed.

Written from the comments of protos/meshpact/policy/v1/policy.proto and the order of checks in the
design alone. It reads policies as plain messages and imports nothing of the guard.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from meshpact.policy.v1 import policy_pb2 as pb

ALLOW = ("OK", "")
Decision = tuple[str, str]
"""Status code by name and reason; ALLOW when the handler is called."""

_FOUR_MIB = 4 * 1024 * 1024


@dataclass(frozen=True)
class Token:
    """An access token: `fault` is "", "expired" or "invalid" (whatever else is wrong with it)."""

    user: str
    audiences: frozenset[str]
    scopes: frozenset[str]
    user_roles: frozenset[str]
    """What mesh.yaml binds to the user's name or groups."""
    fault: str = ""


@dataclass(frozen=True)
class Caller:
    """`certificate` is "good", "none", "expired" or "bad"."""

    workload: str
    certificate: str
    roles: frozenset[str]
    """What mesh.yaml binds to the workload."""
    token: Token | None


@dataclass(frozen=True)
class Request:
    """What one call brings, as facts."""

    path_known: bool
    network_allowed: bool
    access_observed: bool
    """Whether mesh.yaml only observes access to the method."""
    authorization_twice: bool
    metadata_malformed: bool
    metadata_bytes: int
    """Keys, values and 32 bytes for each entry."""
    message_bytes: int
    parses: bool
    valid: bool


@dataclass(frozen=True)
class Mesh:
    """What mesh.yaml says: roles that are only observed, default audiences, metadata limit."""

    observed: frozenset[str]
    audiences: frozenset[str]
    metadata_limit: int


@dataclass
class Past:
    """What happened on a method before: calls that were counted (by key) and calls still running.

    The harness states no rate whose pace lets a call through within a test, so that a count and
    the burst say it all.
    """

    counted: Counter[str] = field(default_factory=Counter[str])
    running: int = 0


def effective(service: pb.Policy, method: pb.Policy) -> pb.Policy:
    """Each part that the method spells out replaces the service's whole (those that decide)."""
    return pb.Policy(
        access=(method if method.HasField("access") else service).access,
        rate=(method if method.HasField("rate") else service).rate,
        concurrency=(method if method.HasField("concurrency") else service).concurrency,
        message_size=(method if method.HasField("message_size") else service).message_size,
    )


def decide(
    service: pb.Policy, method: pb.Policy, caller: Caller, request: Request, mesh: Mesh, past: Past
) -> Decision:
    """The decision on one call, which it also adds to what is counted in `past`."""
    if not request.path_known:
        return "UNIMPLEMENTED", "METHOD_UNKNOWN"
    policy = effective(service, method)
    access = policy.access

    if not access.HasField("unauthenticated"):
        if caller.certificate == "none":
            return "UNAUTHENTICATED", "IDENTITY_MISSING"
        if caller.certificate == "expired":
            return "UNAUTHENTICATED", "SVID_EXPIRED"
        if caller.certificate == "bad":
            return "UNAUTHENTICATED", "IDENTITY_INVALID"
    if not request.network_allowed:
        return "PERMISSION_DENIED", "NETWORK_DENIED"

    looks_at_tokens = access.end_user in (pb.END_USER_OPTIONAL, pb.END_USER_REQUIRED)
    user = caller.token if looks_at_tokens else None
    if looks_at_tokens:
        if request.authorization_twice:
            return "INVALID_ARGUMENT", "METADATA_INVALID"
        if user is None and access.end_user == pb.END_USER_REQUIRED:
            return "UNAUTHENTICATED", "TOKEN_MISSING"
        if user is not None:
            if user.fault == "expired":
                return "UNAUTHENTICATED", "TOKEN_EXPIRED"
            wanted = {access.audience} if access.audience else mesh.audiences
            if user.fault or user.audiences.isdisjoint(wanted):
                return "UNAUTHENTICATED", "TOKEN_INVALID"

    if not request.access_observed:
        of_user = user.user_roles if user else frozenset[str]()
        for roles, held in (
            (access.roles, caller.roles | of_user),
            (access.workload_roles, caller.roles),
            (access.user_roles, of_user),
        ):
            if roles and held.isdisjoint(roles) and mesh.observed.isdisjoint(roles):
                return "PERMISSION_DENIED", "ROLE_MISSING"
        if access.scopes and not (user and user.scopes.issuperset(access.scopes)):
            return "PERMISSION_DENIED", "SCOPE_MISSING"

    if request.metadata_malformed or request.authorization_twice:
        return "INVALID_ARGUMENT", "METADATA_INVALID"
    if request.metadata_bytes > mesh.metadata_limit:
        return "RESOURCE_EXHAUSTED", "METADATA_TOO_LARGE"

    rate = policy.rate
    if rate.requests and not rate.unlimited:
        key = f"workload {caller.workload}"
        if rate.by == pb.RATE_KEY_METHOD:
            key = "all"
        elif rate.by == pb.RATE_KEY_END_USER and user is not None:
            key = f"user {user.user}"
        if past.counted[key] >= (rate.burst or rate.requests):
            return "RESOURCE_EXHAUSTED", "RATE_LIMITED"
        past.counted[key] += 1
    if policy.concurrency.max and past.running >= policy.concurrency.max:
        return "UNAVAILABLE", "OVERLOADED"

    if request.message_bytes > (policy.message_size.request_bytes or _FOUR_MIB):
        return "RESOURCE_EXHAUSTED", "MESSAGE_TOO_LARGE"
    if not request.parses:
        return "INTERNAL", "MALFORMED_REQUEST"
    if not request.valid:
        return "INVALID_ARGUMENT", "INVALID_REQUEST"
    return ALLOW
