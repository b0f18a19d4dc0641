"""The policy of a method as the guard, the clients and the generator read it.

`resolve` turns the options of a contract (protos/meshpact/policy/v1/policy.proto) into a
MethodPolicy: the service's parts inherited, defaults filled in, every contradiction named.
"""

from __future__ import annotations

import enum
import hashlib
from dataclasses import dataclass
from typing import Final

import msgspec
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.descriptor_pb2 import MethodOptions

from meshpact.interceptors.errors import MeshpactError
from meshpact.interceptors.policy_problems import Problem as Problem
from meshpact.interceptors.policy_problems import problems as problems
from meshpact.interceptors.policy_problems import seconds
from meshpact.policy.v1 import policy_pb2 as pb

DEFAULT_MESSAGE_BYTES: Final = 4 * 1024 * 1024
"""Size limit of one message where a contract states none; grpc's own default."""

DEFAULT_ATTEMPTS: Final = 3
"""Attempts of a client for an idempotent method where a contract states none."""

PARTS: Final = (
    "access",
    "deadline",
    "rate",
    "concurrency",
    "criticality",
    "message_size",
    "audit",
    "errors",
    "retries",
    "pagination",
)
"""The parts of a policy, in the order of their field numbers; each is inherited whole."""


class EndUserRule(enum.Enum):
    """Whether a verified end user must stand behind a call."""

    NONE = "none"
    OPTIONAL = "optional"
    REQUIRED = "required"


class RateKey(enum.Enum):
    """Who shares one count of calls."""

    CALLER = "caller"
    END_USER = "end_user"
    METHOD = "method"


class Criticality(enum.IntEnum):
    """What an overloaded server refuses last: the lower, the later."""

    CRITICAL_PLUS = 1
    CRITICAL = 2
    SHEDDABLE_PLUS = 3
    SHEDDABLE = 4


class AuditLevel(enum.Enum):
    """Which calls leave a line in the audit trail."""

    NONE = "none"
    DENIALS = "denials"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class Access:
    """Who may call: all that is given must hold; of `roles`, one."""

    roles: frozenset[str] = frozenset()
    end_user: EndUserRule = EndUserRule.NONE
    scopes: frozenset[str] = frozenset()
    audience: str = ""
    unauthenticated: str = ""
    """The reason why anyone may call; empty when a workload identity is demanded."""
    workload_roles: frozenset[str] = frozenset()
    """The calling workload itself holds one of these."""
    user_roles: frozenset[str] = frozenset()
    """The end user holds one of these."""
    bound_token: bool = False
    """The token must be bound to the connection's certificate (RFC 8705)."""


@dataclass(frozen=True, slots=True)
class Rate:
    """At most `requests` in every `per` seconds at an even pace, `burst` at once."""

    requests: int
    per: float
    burst: int
    by: RateKey


@dataclass(frozen=True, slots=True)
class MethodPolicy:
    """The whole policy of one method. Times are in seconds, sizes in bytes."""

    access: Access
    default_deadline: float
    max_deadline: float | None
    audit: AuditLevel
    rate: Rate | None = None
    concurrency: int | None = None
    criticality: Criticality = Criticality.CRITICAL
    request_bytes: int = DEFAULT_MESSAGE_BYTES
    response_bytes: int = DEFAULT_MESSAGE_BYTES
    errors: tuple[str, ...] = ()
    """As written in the contract: reasons, or full names of enum values."""
    idempotent: bool = False
    attempts: int = 1
    page_sizes: tuple[int, int] | None = None
    """Default and largest page size of a List method."""
    audit_required: bool = False
    """A call whose audit line cannot be written is refused."""

    @property
    def digest(self) -> str:
        """Stands for the policy in the audit trail: the same wherever the policy is the same."""
        plain = msgspec.json.encode(self, order="deterministic")
        return hashlib.sha256(plain).hexdigest()[:12]


class PolicyError(MeshpactError):
    """A method has no policy, or one that contradicts itself."""

    def __init__(self, method: str, file: str, problems: list[Problem]) -> None:
        self.method = method
        self.file = file
        self.problems = problems
        super().__init__(f"{method} ({file}): " + "; ".join(str(p) for p in problems))


def resolve(method: MethodDescriptor, overlay: pb.Policy | None = None) -> MethodPolicy:
    """The policy of a method, from its options and its service's, and `overlay` above both.

    Raises PolicyError with every problem found.
    """
    policy, inherited = merge(
        method.containing_service.GetOptions().Extensions[pb.service],
        method.GetOptions().Extensions[pb.method],
    )
    if overlay is not None:
        policy, _ = merge(policy, overlay)
    idempotency = method.GetOptions().idempotency_level
    found = problems(policy, inherited, idempotency)
    if found:
        raise PolicyError(str(method.full_name), str(method.containing_service.file.name), found)
    return build(policy, idempotency)


def merge(service: pb.Policy, method: pb.Policy) -> tuple[pb.Policy, frozenset[str]]:
    """A method's policy with the service's parts where the method has none, and their names."""
    merged = pb.Policy()
    merged.CopyFrom(method)
    inherited: set[str] = set()
    present = {field.name for field, _ in method.ListFields()}
    for field, _ in service.ListFields():
        if field.name not in present:
            part = pb.Policy()
            part.CopyFrom(service)
            for other in PARTS:
                if other != field.name:
                    part.ClearField(other)
            merged.MergeFrom(part)
            inherited.add(field.name)
    return merged, frozenset(inherited)


def build(policy: pb.Policy, idempotency: MethodOptions.IdempotencyLevel.ValueType) -> MethodPolicy:
    """The MethodPolicy of a merged policy in which `problems` finds nothing."""
    access, rate, size = policy.access, policy.rate, policy.message_size
    idempotent = idempotency != MethodOptions.IDEMPOTENCY_UNKNOWN
    attempts = DEFAULT_ATTEMPTS if idempotent else 1
    return MethodPolicy(
        access=Access(
            roles=frozenset(access.roles),
            end_user=_END_USER[access.end_user],
            scopes=frozenset(access.scopes),
            audience=access.audience,
            unauthenticated=access.unauthenticated.reason,
            workload_roles=frozenset(access.workload_roles),
            user_roles=frozenset(access.user_roles),
            bound_token=access.bound_token,
        ),
        default_deadline=seconds(policy.deadline.default),
        max_deadline=seconds(policy.deadline.max) if policy.deadline.HasField("max") else None,
        audit=_AUDIT[policy.audit.level],
        rate=Rate(
            requests=rate.requests,
            per=seconds(rate.per),
            burst=rate.burst or rate.requests,
            by=_RATE_KEY[rate.by],
        )
        if policy.HasField("rate") and not rate.unlimited
        else None,
        concurrency=policy.concurrency.max or None,
        criticality=Criticality(policy.criticality or pb.CRITICALITY_CRITICAL),
        request_bytes=size.request_bytes or DEFAULT_MESSAGE_BYTES,
        response_bytes=size.response_bytes or DEFAULT_MESSAGE_BYTES,
        errors=tuple(policy.errors),
        idempotent=idempotent,
        attempts=policy.retries.max_attempts if policy.HasField("retries") else attempts,
        page_sizes=(policy.pagination.default_size, policy.pagination.max_size)
        if policy.HasField("pagination")
        else None,
        audit_required=policy.audit.required,
    )


_END_USER: Final = {
    pb.END_USER_UNSPECIFIED: EndUserRule.NONE,
    pb.END_USER_NONE: EndUserRule.NONE,
    pb.END_USER_OPTIONAL: EndUserRule.OPTIONAL,
    pb.END_USER_REQUIRED: EndUserRule.REQUIRED,
}
_RATE_KEY: Final = {
    pb.RATE_KEY_UNSPECIFIED: RateKey.CALLER,
    pb.RATE_KEY_CALLER: RateKey.CALLER,
    pb.RATE_KEY_END_USER: RateKey.END_USER,
    pb.RATE_KEY_METHOD: RateKey.METHOD,
}
_AUDIT: Final = {
    pb.AUDIT_LEVEL_NONE: AuditLevel.NONE,
    pb.AUDIT_LEVEL_DENIALS: AuditLevel.DENIALS,
    pb.AUDIT_LEVEL_ALL: AuditLevel.ALL,
}
