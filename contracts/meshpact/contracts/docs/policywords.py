"""The policy of a method in words, part by part, and the errors that the guard can answer with."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from meshpact.contracts.docs.model import Fact
from meshpact.contracts.model import Method
from meshpact.interceptors import errors
from meshpact.interceptors import policy as policies
from meshpact.interceptors.errors import Reason
from meshpact.interceptors.policy import (
    DEFAULT_MESSAGE_BYTES,
    Access,
    AuditLevel,
    Criticality,
    EndUserRule,
    MethodPolicy,
    RateKey,
)
from meshpact.policy.v1 import policy_pb2 as pb

_SHARED: Final = {
    RateKey.CALLER: "for each calling workload",
    RateKey.END_USER: "for each end user",
    RateKey.METHOD: "for all callers together",
}
_CRITICALITY: Final = {
    Criticality.CRITICAL_PLUS: "Refused last: failing has a serious impact that users see.",
    Criticality.CRITICAL: "The ordinary: failing has an impact that users see.",
    Criticality.SHEDDABLE_PLUS: "May be refused for minutes: callers try again.",
    Criticality.SHEDDABLE: "Refused first: callers bear it.",
}
_AUDIT: Final = {
    AuditLevel.NONE: "No call leaves a line.",
    AuditLevel.DENIALS: "Calls that were refused leave a line.",
    AuditLevel.ALL: "Every call leaves a line.",
}
_IDEMPOTENCY: Final = {
    1: "Has no side effects: calling again is always safe.",
    2: "Idempotent: calling again does nothing more.",
}


def facts(method: Method) -> list[Fact]:
    """The parts that say something, in the order in which readers ask; defaults are told too."""
    idempotency = method.proto.options.idempotency_level
    found = policies.problems(method.policy, method.inherited, idempotency)
    if found:
        wrong = "; ".join(problem.message for problem in found)
        return [Fact("Policy", f"Incomplete, no server starts with it: {wrong}.")]
    policy = policies.build(method.policy, idempotency)
    return [
        Fact(label, text, part in method.inherited)
        for label, part, text in _parts(policy, idempotency)
    ]


def _parts(policy: MethodPolicy, idempotency: int) -> Iterator[tuple[str, str, str]]:
    access = policy.access
    yield "Who may call", "access", who(access)
    if not access.unauthenticated:
        yield "End user", "access", _end_user(access)
        if access.scopes:
            yield "Scopes", "access", f"The token carries {_all(access.scopes)}."
    yield "Deadline", "deadline", _deadline(policy)
    if policy.rate is not None:
        rate = policy.rate
        calls = "call" if rate.requests == 1 else "calls"
        yield (
            "Rate",
            "rate",
            f"{rate.requests:,} {calls} {_every(rate.per)} {_SHARED[rate.by]}; "
            f"{rate.burst:,} at once after a pause.",
        )
    else:
        yield "Rate", "rate", "No limit."
    if policy.concurrency is not None:
        yield "At once", "concurrency", f"{policy.concurrency:,} calls in one process at most."
    yield "Message size", "message_size", _sizes(policy)
    yield "Under load", "criticality", _CRITICALITY[policy.criticality]
    audit = _AUDIT[policy.audit]
    if policy.audit_required:
        audit += " A call whose line cannot be written is refused."
    yield "Audit", "audit", audit
    again = _IDEMPOTENCY.get(idempotency, "Not said to be safe to call again.")
    if policy.attempts > 1:
        again += f" Clients try {policy.attempts} times in all when nothing answered."
    yield "Calling again", "retries", again
    if policy.page_sizes is not None:
        usual, most = policy.page_sizes
        yield (
            "Pages",
            "pagination",
            f"{usual:,} items unless page_size says more; {most:,} at most.",
        )


def who(access: Access) -> str:
    """Who may call, in a sentence."""
    if access.unauthenticated:
        return f"Anyone who reaches the port: {access.unauthenticated.strip()}"
    parts: list[str] = []
    if access.roles:
        holder = "Holders of " if access.end_user is EndUserRule.NONE else "Callers where "
        role = _role(access.roles)
        parts.append(
            f"{holder}{role}"
            if access.end_user is EndUserRule.NONE
            else f"{holder}the workload or its end user holds {role}"
        )
    if access.workload_roles:
        parts.append(f"{'w' if parts else 'W'}orkloads that hold {_role(access.workload_roles)}")
    if access.user_roles:
        start = "for" if parts else "For"
        parts.append(f"{start} end users who hold {_role(access.user_roles)}")
    return ("; ".join(parts) or "Every workload of the mesh") + "."


def _role(roles: Iterable[str]) -> str:
    names = sorted(roles)
    if len(names) == 1:
        return f"the role `{names[0]}`"
    return f"one of the roles {', '.join(f'`{name}`' for name in names)}"


def _all(names: Iterable[str]) -> str:
    found = [f"`{name}`" for name in sorted(names)]
    return found[0] if len(found) == 1 else f"all of {', '.join(found)}"


def _end_user(access: Access) -> str:
    if access.end_user is EndUserRule.NONE:
        return "None is asked for; a token is not looked at."
    need = access.end_user is EndUserRule.REQUIRED
    text = "A valid access token is required" if need else "A token may come along, and is valid"
    if access.audience:
        text += f", for the audience `{access.audience}`"
    if access.bound_token:
        text += ", bound to the caller's certificate (RFC 8705)"
    return text + "."


def _deadline(policy: MethodPolicy) -> str:
    text = f"{seconds(policy.default_deadline)} unless the caller sets one"
    if policy.max_deadline is None:
        return f"{text}; no maximum."
    return f"{text}; {seconds(policy.max_deadline)} at most."


def _sizes(policy: MethodPolicy) -> str:
    if policy.request_bytes == policy.response_bytes:
        usual = " (the default)" if policy.request_bytes == DEFAULT_MESSAGE_BYTES else ""
        return f"{_bytes(policy.request_bytes)} each way{usual}."
    request, response = _bytes(policy.request_bytes), _bytes(policy.response_bytes)
    return f"Requests up to {request}, responses up to {response}."


def _bytes(count: int) -> str:
    for unit, size in (("MiB", 1 << 20), ("KiB", 1 << 10)):
        if count >= size and count % size == 0:
            return f"{count // size:,} {unit}"
    return f"{count:,} bytes"


def seconds(time: float) -> str:
    """A length of time as people say it: `500 ms`, `2 s`, `5 min`, `1 h`."""
    for unit, size in (("h", 3600), ("min", 60)):
        if time >= size and time % size == 0:
            return f"{time / size:g} {unit}"
    return f"{time:g} s" if time >= 1 else f"{time * 1000:g} ms"


def _every(time: float) -> str:
    return {1.0: "a second", 60.0: "a minute", 3600.0: "an hour"}.get(time, f"in {seconds(time)}")


def code_name(code: int) -> str:
    """`NOT_FOUND` for CODE_NOT_FOUND; "" for none."""
    return pb.Code.Name(pb.Code.ValueType(code)).removeprefix("CODE_") if code else ""


def guard_errors(method: Method, has_rules: bool) -> list[tuple[str, str]]:
    """Meshpact's own reasons that a call may be refused with, each with its status code."""
    idempotency = method.proto.options.idempotency_level
    if policies.problems(method.policy, method.inherited, idempotency):
        return []
    policy = policies.build(method.policy, idempotency)
    return [(reason.name, reason.code.name) for reason in _reasons(policy, has_rules)]


def _reasons(policy: MethodPolicy, has_rules: bool) -> Iterator[Reason]:
    access = policy.access
    if not access.unauthenticated:
        yield from (errors.IDENTITY_MISSING, errors.IDENTITY_INVALID, errors.IDENTITY_DENIED)
        if access.end_user is EndUserRule.REQUIRED:
            yield errors.TOKEN_MISSING
        if access.end_user is not EndUserRule.NONE:
            yield from (errors.TOKEN_INVALID, errors.TOKEN_EXPIRED, errors.KEYS_UNAVAILABLE)
        if access.bound_token:
            yield errors.TOKEN_BINDING_MISMATCH
        if access.roles or access.workload_roles or access.user_roles:
            yield errors.ROLE_MISSING
        if access.scopes:
            yield errors.SCOPE_MISSING
    yield from (errors.NETWORK_DENIED, errors.MESSAGE_TOO_LARGE)
    if policy.rate is not None:
        yield errors.RATE_LIMITED
    yield from (errors.OVERLOADED, errors.BUDGET_SPENT)
    if policy.max_deadline is not None:
        yield errors.DEADLINE_MAXIMUM
    if has_rules:
        yield errors.INVALID_REQUEST
    if policy.audit_required:
        yield errors.AUDIT_UNAVAILABLE
    yield errors.MASKED
