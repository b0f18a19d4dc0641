"""A policy in words: one source for the docstrings of generated code and for the pages of docs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from meshpact.interceptors.policy import (
    DEFAULT_MESSAGE_BYTES,
    Access,
    AuditLevel,
    Criticality,
    EndUserRule,
    MethodPolicy,
    RateKey,
)

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


@dataclass(frozen=True, slots=True)
class Said:
    """What a policy says of one thing; names stand in backticks."""

    label: str
    part: str
    """The field of the policy that says it."""
    text: str
    to_callers: bool = True
    """Whether a caller has to know: neither a default nor an affair of the server alone."""


def parts(policy: MethodPolicy, idempotency: int) -> Iterator[Said]:
    """What a policy says, in the order in which readers ask; defaults are told too.

    `idempotency` is the method's standard `idempotency_level`.
    """
    access = policy.access
    yield Said("Who may call", "access", _who(access))
    if not access.unauthenticated:
        asked = access.end_user is not EndUserRule.NONE
        yield Said("End user", "access", _end_user(access), asked)
        if access.scopes:
            yield Said("Scopes", "access", f"The token carries {_all(access.scopes)}.")
    yield Said("Deadline", "deadline", _deadline(policy))
    if policy.rate is not None:
        rate = policy.rate
        calls = "call" if rate.requests == 1 else "calls"
        text = (
            f"{rate.requests:,} {calls} {_every(rate.per)} {_SHARED[rate.by]}; "
            f"{rate.burst:,} at once after a pause."
        )
        yield Said("Rate", "rate", text)
    else:
        yield Said("Rate", "rate", "No limit.", False)
    if policy.concurrency is not None:
        calls = "call" if policy.concurrency == 1 else "calls"
        text = f"{policy.concurrency:,} {calls} in one process at most."
        yield Said("At once", "concurrency", text)
    usual = {policy.request_bytes, policy.response_bytes} == {DEFAULT_MESSAGE_BYTES}
    yield Said("Message size", "message_size", _sizes(policy), not usual)
    yield Said("Under load", "criticality", _CRITICALITY[policy.criticality], False)
    audit = _AUDIT[policy.audit]
    if policy.audit_required:
        audit += " A call whose line cannot be written is refused."
    yield Said("Audit", "audit", audit, False)
    again = _IDEMPOTENCY.get(idempotency, "Not said to be safe to call again.")
    if policy.attempts > 1:
        again += f" Clients try {policy.attempts} times in all when nothing answered."
    yield Said("Calling again", "retries", again, idempotency in _IDEMPOTENCY)
    if policy.page_sizes is not None:
        least, most = policy.page_sizes
        text = f"{least:,} items unless page_size says more; {most:,} at most."
        yield Said("Pages", "pagination", text)


def lines(policy: MethodPolicy, idempotency: int, errors: Sequence[str]) -> list[str]:
    """What a docstring tells of a policy, a line a thing; `errors` are names of exceptions."""
    found = [
        f"{said.label}: {said.text.replace('`', '')}"
        for said in parts(policy, idempotency)
        if said.to_callers
    ]
    return [*found, f"Errors: {', '.join(errors)}."] if errors else found


def _who(access: Access) -> str:
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
    text = f"{_seconds(policy.default_deadline)} unless the caller sets one"
    if policy.max_deadline is None:
        return f"{text}; no maximum."
    return f"{text}; {_seconds(policy.max_deadline)} at most."


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


def _seconds(time: float) -> str:
    for unit, size in (("h", 3600), ("min", 60)):
        if time >= size and time % size == 0:
            return f"{time / size:g} {unit}"
    return f"{time:g} s" if time >= 1 else f"{time * 1000:g} ms"


def _every(time: float) -> str:
    return {1.0: "a second", 60.0: "a minute", 3600.0: "an hour"}.get(time, f"in {_seconds(time)}")
