"""The policy of a method as the guard, the clients and the generator read it.

`resolve` turns the options of a contract (protos/meshpact/policy/v1/policy.proto) into a
MethodPolicy: the service's parts inherited, defaults filled in, every contradiction named.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.descriptor_pb2 import MethodOptions
from google.protobuf.duration_pb2 import Duration

from meshpact.interceptors.errors import MeshpactError
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


@dataclass(frozen=True, slots=True)
class Problem:
    """One fault of a policy: where in the options it stands, what is wrong, what to write.

    `part` is the path below the option (`access.roles`), empty for the option itself;
    `inherited` says that it stands on the service.
    """

    part: str
    inherited: bool
    message: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.message}: {self.remedy}"


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


def problems(
    policy: pb.Policy,
    inherited: frozenset[str] = frozenset(),
    idempotency: MethodOptions.IdempotencyLevel.ValueType = MethodOptions.IDEMPOTENCY_UNKNOWN,
) -> list[Problem]:
    """Everything that is missing from, or contradictory in, a merged policy."""
    return [
        Problem(part, part.partition(".")[0] in inherited, message, remedy)
        for part, message, remedy in (
            *_access_problems(policy),
            *_deadline_problems(policy),
            *_limit_problems(policy),
            *_audit_problems(policy),
            *_retry_problems(policy, idempotency),
            *_pagination_problems(policy),
        )
    ]


_Found = Iterator[tuple[str, str, str]]
_ROLE = re.compile(r"[a-z][a-z0-9_-]*(\.[a-z0-9_-]+)*")


def _access_problems(policy: pb.Policy) -> _Found:
    access = policy.access
    if not policy.HasField("access"):
        yield (
            "",
            "no access is stated",
            'add access: { roles: "..." }, or access: { unauthenticated: { reason: "..." } } to '
            "let anyone call",
        )
        return
    demands_user = access.end_user == pb.END_USER_REQUIRED
    if access.HasField("unauthenticated"):
        if not access.unauthenticated.reason.strip():
            yield (
                "access.unauthenticated",
                "unauthenticated has no reason",
                'say why anyone may call: unauthenticated: { reason: "..." }',
            )
        if access.roles or access.end_user or access.scopes or access.audience:
            yield (
                "access",
                "unauthenticated stands beside roles, end_user, scopes or audience",
                "keep either unauthenticated or the others",
            )
    elif not access.roles and not demands_user:
        yield (
            "access",
            "access is empty: it names no role and demands no end user",
            'add roles: "...", or end_user: END_USER_REQUIRED, or unauthenticated with a reason',
        )
    for role in access.roles:
        if not _ROLE.fullmatch(role):
            yield (
                "access.roles",
                f"{role!r} is not a role name",
                "write lower-case words joined by dots, such as inventory.writer",
            )
    if access.scopes and not demands_user:
        yield (
            "access.scopes",
            "scopes are demanded of an end user who may be absent",
            "add end_user: END_USER_REQUIRED",
        )
    if access.audience and access.end_user in (pb.END_USER_UNSPECIFIED, pb.END_USER_NONE):
        yield (
            "access.audience",
            "an audience is demanded of a token that is not looked at",
            "add end_user: END_USER_REQUIRED or END_USER_OPTIONAL",
        )


def _deadline_problems(policy: pb.Policy) -> _Found:
    deadline = policy.deadline
    if not policy.HasField("deadline") or not deadline.HasField("default"):
        yield (
            "deadline" if policy.HasField("deadline") else "",
            "no default deadline is stated",
            "add deadline: { default: { seconds: 1 } max: { seconds: 5 } }",
        )
        return
    if _seconds(deadline.default) <= 0:
        yield ("deadline.default", "the default deadline is not positive", "state more than 0 s")
    if deadline.HasField("max") and _seconds(deadline.max) < _seconds(deadline.default):
        yield (
            "deadline.max",
            f"the maximum deadline ({_seconds(deadline.max):g} s) is less than the default "
            f"({_seconds(deadline.default):g} s)",
            "raise max or lower default",
        )


def _limit_problems(policy: pb.Policy) -> _Found:
    rate = policy.rate
    if policy.HasField("rate"):
        if rate.unlimited:
            if rate.requests or rate.HasField("per") or rate.burst or rate.by:
                yield ("rate.unlimited", "unlimited stands beside a limit", "keep one of them")
        else:
            if not rate.requests:
                yield ("rate", "the rate allows no request", "add requests, at least 1")
            if not rate.HasField("per") or _seconds(rate.per) <= 0:
                yield (
                    "rate.per" if rate.HasField("per") else "rate",
                    "the rate has no positive time",
                    "add per: { seconds: 1 }",
                )
            if rate.by == pb.RATE_KEY_END_USER and policy.access.end_user in (
                pb.END_USER_UNSPECIFIED,
                pb.END_USER_NONE,
            ):
                yield (
                    "rate.by",
                    "calls are counted by end user, but tokens are not looked at",
                    "add end_user: END_USER_REQUIRED or END_USER_OPTIONAL to access, or count "
                    "by RATE_KEY_CALLER",
                )
    concurrency = policy.concurrency
    if policy.HasField("concurrency"):
        if concurrency.unlimited and concurrency.max:
            yield ("concurrency.unlimited", "unlimited stands beside a limit", "keep one of them")
        if not concurrency.unlimited and not concurrency.max:
            yield ("concurrency", "no call may run", "add max, at least 1, or unlimited: true")


def _audit_problems(policy: pb.Policy) -> _Found:
    if policy.audit.level == pb.AUDIT_LEVEL_UNSPECIFIED:
        yield (
            "audit" if policy.HasField("audit") else "",
            "no audit level is stated",
            "add audit: { level: AUDIT_LEVEL_DENIALS }",
        )


def _retry_problems(
    policy: pb.Policy, idempotency: MethodOptions.IdempotencyLevel.ValueType
) -> _Found:
    if not policy.HasField("retries"):
        return
    attempts = policy.retries.max_attempts
    if not 1 <= attempts <= 5:
        yield ("retries.max_attempts", f"{attempts} attempts are stated", "state 1 to 5")
    if attempts > 1 and idempotency == MethodOptions.IDEMPOTENCY_UNKNOWN:
        yield (
            "retries",
            "a method that is not idempotent is tried again",
            "add option idempotency_level = IDEMPOTENT (and make it so), or drop retries",
        )


def _pagination_problems(policy: pb.Policy) -> _Found:
    if not policy.HasField("pagination"):
        return
    pages = policy.pagination
    if not pages.default_size:
        yield ("pagination", "no default page size is stated", "add default_size, at least 1")
    if pages.max_size < pages.default_size:
        yield (
            "pagination.max_size" if pages.max_size else "pagination",
            f"the largest page ({pages.max_size}) is smaller than the default "
            f"({pages.default_size})",
            "raise max_size",
        )


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
        ),
        default_deadline=_seconds(policy.deadline.default),
        max_deadline=_seconds(policy.deadline.max) if policy.deadline.HasField("max") else None,
        audit=_AUDIT[policy.audit.level],
        rate=Rate(
            requests=rate.requests,
            per=_seconds(rate.per),
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


def _seconds(duration: Duration) -> float:
    return duration.seconds + duration.nanos / 1e9
