"""Edits of policies in a contract: each changes one part and says what, "" when it does not fit."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, Final

from google.protobuf.descriptor_pb2 import FileDescriptorProto

from meshpact.interceptors import policy as policies
from meshpact.policy.v1 import policy_pb2 as pb

ROLES: Final = ("a.new", "b.new")
SCOPES: Final = ("mutated", "other")
AUDIENCES: Final = ("", "counter", "till")
_USERS: Final = (pb.END_USER_NONE, pb.END_USER_OPTIONAL, pb.END_USER_REQUIRED)

Edit = Callable[[pb.Policy, random.Random], str]


def edit_policy(file: FileDescriptorProto, target: float, edit: Edit, chance: random.Random) -> str:
    """Applies an edit to a service's policy or to a method's, by `target` from 0 to 1; a method
    gets all parts as its own. "" when no sound policy comes of it."""
    whose = [
        (service, method)
        for service in file.service
        for method in (None, *service.method)
        if service.method
    ]
    service, method = whose[int(target * len(whose))]
    shared = service.options.Extensions[pb.service]
    own, name = shared, service.name
    if method is not None:
        own, name = method.options.Extensions[pb.method], f"{service.name}/{method.name}"
        merged, _ = policies.merge(shared, own)
        own.CopyFrom(merged)
    text = edit(own, chance)
    for method in service.method:
        merged, _ = policies.merge(shared, method.options.Extensions[pb.method])
        if policies.problems(merged, frozenset(), method.options.idempotency_level):
            return ""
    return f"{name}: {text}" if text else ""


def _list_edit(field: str, names: tuple[str, ...]) -> Edit:
    """Adds to a list, takes away from it, or replaces in it."""

    def edit(policy: pb.Policy, chance: random.Random) -> str:
        listed: Any = getattr(policy.access, field)
        before = list(listed)
        name = chance.choice(names)
        after = chance.choice([[*before, name], before[1:], [name, *before[1:]], []])
        if field in ("user_roles", "scopes") and after:
            policy.access.end_user = pb.END_USER_REQUIRED
        del listed[:]
        listed.extend(dict.fromkeys(after))
        return f"{field} {before} -> {list(listed)}"

    return edit


def _edit_user(policy: pb.Policy, chance: random.Random) -> str:
    before = policy.access.end_user
    policy.access.end_user = chance.choice(_USERS)
    return f"end_user {before} -> {policy.access.end_user}"


def _edit_audience(policy: pb.Policy, chance: random.Random) -> str:
    access = policy.access
    if access.end_user < pb.END_USER_OPTIONAL:
        access.end_user = chance.choice(_USERS[1:])
    before = access.audience
    access.audience = chance.choice(AUDIENCES)
    return f"audience {before!r} -> {access.audience!r}, end_user {access.end_user}"


def _edit_binding(policy: pb.Policy, chance: random.Random) -> str:
    access = policy.access
    if access.end_user < pb.END_USER_OPTIONAL:
        access.end_user = chance.choice(_USERS[1:])
    access.bound_token = not access.bound_token
    return f"bound_token {access.bound_token}, end_user {access.end_user}"


def _edit_door(policy: pb.Policy, chance: random.Random) -> str:
    access = policy.access
    if access.HasField("unauthenticated"):
        access.Clear()
        access.roles.append(chance.choice(ROLES))
        return "closed"
    access.Clear()
    access.unauthenticated.reason = "Anyone may see it in this mutation."
    return "open"


def _edit_size(policy: pb.Policy, chance: random.Random) -> str:
    size = chance.choice([0, 1_000, 100_000, 4 * 2**20, 5 * 2**20])
    policy.message_size.request_bytes = size
    return f"{size} bytes"


def _edit_rate(policy: pb.Policy, chance: random.Random) -> str:
    rate = policy.rate
    what = chance.random()
    if what < 0.2:
        policy.ClearField("rate")
        return "no rate"
    if what < 0.3:
        rate.Clear()
        rate.unlimited = True
        return "unlimited"
    small = not rate.unlimited and rate.requests in range(1, 10)
    if not small:
        by = rate.by  # else two things would change at once
        rate.Clear()
        rate.requests, rate.per.seconds, rate.by = chance.choice([2, 5]), 2, by
    if what < 0.5:
        rate.requests = chance.choice([1, 2, 3, 6])
        rate.burst = rate.burst or 2
    elif what < 0.7:
        rate.burst = chance.choice([0, 1, 3, 8])
    elif what < 0.8:
        rate.per.seconds = chance.choice([1, 2, 60])
    else:
        keys = [pb.RATE_KEY_CALLER, pb.RATE_KEY_METHOD]
        if policy.access.end_user >= pb.END_USER_OPTIONAL:
            keys.append(pb.RATE_KEY_END_USER)
        key = chance.choice(keys)
        rate.by = key if small else rate.by
    return f"{rate.requests} in {rate.per.seconds} s, {rate.burst} at once, by {rate.by}"


def _edit_concurrency(policy: pb.Policy, chance: random.Random) -> str:
    policy.concurrency.Clear()
    limit = chance.choice([0, 1, 3, 8])
    policy.concurrency.max = limit
    policy.concurrency.unlimited = not limit
    return f"{limit} calls at once"


ACCESS: Final[tuple[Edit, ...]] = (
    _list_edit("roles", ROLES),
    _list_edit("workload_roles", ROLES),
    _list_edit("user_roles", ROLES),
    _list_edit("scopes", SCOPES),
    _edit_user,
    _edit_audience,
    _edit_binding,
    _edit_door,
)
COUNTED: Final[tuple[Edit, ...]] = (_edit_size, _edit_rate, _edit_concurrency)
