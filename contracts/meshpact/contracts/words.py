"""A policy in words, for docstrings."""

from __future__ import annotations

from collections.abc import Sequence

from meshpact.interceptors.policy import (
    DEFAULT_MESSAGE_BYTES,
    Access,
    EndUserRule,
    MethodPolicy,
    Rate,
    RateKey,
)

_SHARED = {
    RateKey.CALLER: "for each calling workload",
    RateKey.END_USER: "for each end user",
    RateKey.METHOD: "for all callers together",
}


def lines(policy: MethodPolicy, errors: Sequence[str]) -> list[str]:
    """One line a part that says something; `errors` are the names of the exceptions."""
    found = [f"Callers: {_access(policy.access)}", f"Deadline: {_deadline(policy)}."]
    if policy.rate is not None:
        found.append(f"Rate: {_rate(policy.rate)}.")
    if policy.concurrency is not None:
        found.append(f"Concurrency: at most {policy.concurrency} at once in one process.")
    sizes = (policy.request_bytes, policy.response_bytes)
    if sizes != (DEFAULT_MESSAGE_BYTES, DEFAULT_MESSAGE_BYTES):
        found.append(f"Messages: requests up to {sizes[0]} bytes, responses up to {sizes[1]}.")
    if policy.attempts > 1:
        found.append(f"Retries: idempotent, tried up to {policy.attempts} times.")
    if policy.page_sizes is not None:
        found.append(
            f"Pages: {policy.page_sizes[0]} items by default, {policy.page_sizes[1]} at most."
        )
    if errors:
        found.append(f"Errors: {', '.join(errors)}.")
    return found


def _access(access: Access) -> str:
    if access.unauthenticated:
        return f"anyone who reaches the port. {access.unauthenticated.strip()}"
    demands = [f"holders of {_role(access.roles)}"] if access.roles else []
    if access.workload_roles:
        demands.append(f"workloads that hold {_role(access.workload_roles)}")
    if access.user_roles:
        demands.append(f"end users who hold {_role(access.user_roles)}")
    who = " and ".join(demands) or "every workload of the mesh"
    if access.end_user is EndUserRule.NONE:
        return f"{who}."
    token = f"an end user's token{_token(access)}"
    if access.end_user is EndUserRule.REQUIRED:
        return f"{who}, with {token}."
    return f"{who}; {token} may come along."


def _role(roles: frozenset[str]) -> str:
    names = ", ".join(sorted(roles))
    return f"the role {names}" if len(roles) == 1 else f"one of the roles {names}"


def _token(access: Access) -> str:
    scopes = sorted(access.scopes)
    parts = [f"scopes {', '.join(scopes)}"] if scopes else []
    parts += [f"audience {access.audience}"] if access.audience else []
    parts += ["bound to the caller's certificate"] if access.bound_token else []
    return f" ({'; '.join(parts)})" if parts else ""


def _deadline(policy: MethodPolicy) -> str:
    longest = policy.max_deadline
    bound = "no maximum" if longest is None else f"at most {longest:g} s"
    return f"{policy.default_deadline:g} s unless the caller sets one, {bound}"


def _rate(rate: Rate) -> str:
    calls = "call" if rate.requests == 1 else "calls"
    return (
        f"{rate.requests} {calls} in {rate.per:g} s {_SHARED[rate.by]}, {rate.burst} at once"
        " after a pause"
    )
