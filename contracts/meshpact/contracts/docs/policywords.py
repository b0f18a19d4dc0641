"""The policy of a method for a page, and the errors that the guard can answer with."""

from __future__ import annotations

from collections.abc import Iterator

from meshpact.contracts import words
from meshpact.contracts.docs.model import Fact
from meshpact.contracts.model import Method
from meshpact.interceptors import errors
from meshpact.interceptors import policy as policies
from meshpact.interceptors.errors import Reason
from meshpact.interceptors.policy import EndUserRule, MethodPolicy
from meshpact.policy.v1 import policy_pb2 as pb


def facts(method: Method) -> list[Fact]:
    """The parts that say something, in the order in which readers ask; defaults are told too."""
    idempotency = method.proto.options.idempotency_level
    found = policies.problems(method.policy, method.inherited, idempotency)
    if found:
        wrong = "; ".join(problem.message for problem in found)
        return [Fact("Policy", f"Incomplete, no server starts with it: {wrong}.")]
    policy = policies.build(method.policy, idempotency)
    return [
        Fact(said.label, said.text, said.part in method.inherited)
        for said in words.parts(policy, idempotency)
    ]


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
