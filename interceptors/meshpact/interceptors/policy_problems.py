"""What may be wrong with a policy: parts that are missing, parts that contradict each other."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from google.protobuf.descriptor_pb2 import MethodOptions
from google.protobuf.duration_pb2 import Duration

from meshpact.policy.v1 import policy_pb2 as pb


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
        if len(access.ListFields()) > 1:
            yield (
                "access",
                "unauthenticated stands beside another demand of access",
                "keep either unauthenticated or the others",
            )
    elif not access.roles and not access.workload_roles and not demands_user:
        yield (
            "access",
            "access is empty: it names no role and demands no end user",
            'add roles: "...", or end_user: END_USER_REQUIRED, or unauthenticated with a reason',
        )
    for field, roles in (
        ("roles", access.roles),
        ("workload_roles", access.workload_roles),
        ("user_roles", access.user_roles),
    ):
        for role in roles:
            if not _ROLE.fullmatch(role):
                yield (
                    f"access.{field}",
                    f"{role!r} is not a role name",
                    "write lower-case words joined by dots, such as inventory.writer",
                )
    if access.user_roles and not demands_user:
        yield (
            "access.user_roles",
            "roles are demanded of an end user who may be absent",
            "add end_user: END_USER_REQUIRED",
        )
    if access.scopes and not demands_user:
        yield (
            "access.scopes",
            "scopes are demanded of an end user who may be absent",
            "add end_user: END_USER_REQUIRED",
        )
    if access.end_user in (pb.END_USER_UNSPECIFIED, pb.END_USER_NONE):
        for field, demand in (("audience", "an audience"), ("bound_token", "a binding")):
            if getattr(access, field):
                yield (
                    f"access.{field}",
                    f"{demand} is demanded of a token that is not looked at",
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
    if seconds(deadline.default) <= 0:
        yield ("deadline.default", "the default deadline is not positive", "state more than 0 s")
    if deadline.HasField("max") and seconds(deadline.max) < seconds(deadline.default):
        yield (
            "deadline.max",
            f"the maximum deadline ({seconds(deadline.max):g} s) is less than the default "
            f"({seconds(deadline.default):g} s)",
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
            if not rate.HasField("per") or seconds(rate.per) <= 0:
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
    elif policy.audit.required and policy.audit.level != pb.AUDIT_LEVEL_ALL:
        yield (
            "audit.required",
            "lines are required of a method that does not audit every call",
            "state level: AUDIT_LEVEL_ALL, or drop required",
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


def seconds(duration: Duration) -> float:
    """A protobuf duration in seconds."""
    return duration.seconds + duration.nanos / 1e9
