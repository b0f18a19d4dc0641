"""Edits of a contract: each changes one thing in a file and says what, "" when it does not fit."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, Final

from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto

from meshpact.contracts.review.fieldrules import NUMBER
from meshpact.policy.v1 import policy_pb2 as pb

_F = FieldDescriptorProto
NEW_ROLES: Final = ("a.new", "b.new")
VALUES: Final[dict[int, list[Any]]] = {
    _F.TYPE_INT64: [*range(-3, 30), 99, 100, 101, 999_999, 1_000_000, 1_000_001, 2**63 - 1],
    _F.TYPE_INT32: [*range(-3, 30), 99, 100, 101, 999, 1_000, 1_001, 2**31 - 1],
    _F.TYPE_STRING: ["x" * size for size in (*range(30), 64, 100, 200, 201)],
}


def _policy(file: FileDescriptorProto, chance: random.Random) -> tuple[str, pb.Policy]:
    service = chance.choice(file.service)
    if chance.random() < 0.25:
        return service.name, service.options.Extensions[pb.service]
    method = chance.choice(service.method)
    own = method.options.Extensions[pb.method]
    if not own.HasField("access"):
        own.access.CopyFrom(service.options.Extensions[pb.service].access)
    return f"{service.name}/{method.name}", own


def _edit_roles(file: FileDescriptorProto, chance: random.Random) -> str:
    name, policy = _policy(file, chance)
    access = policy.access
    if access.HasField("unauthenticated"):
        return ""
    which = chance.choice(["roles", "workload_roles"])
    roles: Any = getattr(access, which)
    role = chance.choice(NEW_ROLES)
    if roles and chance.random() < 0.4:
        roles[0] = role
        return f"{name}: {which} replaced"
    roles.append(role)
    return f"{name}: {which} gets {role}"


def _edit_user(file: FileDescriptorProto, chance: random.Random) -> str:
    name, policy = _policy(file, chance)
    access = policy.access
    if access.HasField("unauthenticated"):
        return ""
    if access.end_user == pb.END_USER_REQUIRED:
        if chance.random() < 0.5 and access.scopes:
            del access.scopes[:]
            return f"{name}: no scopes"
        access.scopes.append("mutated")
        return f"{name}: one more scope"
    if not access.roles and not access.workload_roles:
        return ""
    access.end_user = pb.END_USER_REQUIRED
    return f"{name}: an end user"


def _edit_door(file: FileDescriptorProto, chance: random.Random) -> str:
    name, policy = _policy(file, chance)
    policy.access.Clear()
    policy.access.unauthenticated.reason = "Anyone may see it in this mutation."
    return f"{name}: open"


def _edit_size(file: FileDescriptorProto, chance: random.Random) -> str:
    name, policy = _policy(file, chance)
    policy.message_size.request_bytes = chance.choice([1_000, 100_000, 8 * 2**20])
    return f"{name}: {policy.message_size.request_bytes} bytes"


def _edit_rate(file: FileDescriptorProto, chance: random.Random) -> str:
    name, policy = _policy(file, chance)
    if not policy.HasField("rate") or policy.rate.unlimited:
        return ""
    if chance.random() < 0.5:
        policy.rate.requests = max(1, policy.rate.requests * chance.choice([1, 3]) // 2)
        policy.rate.burst = policy.rate.burst or policy.rate.requests
    else:
        policy.rate.burst = max(1, policy.rate.burst * chance.choice([1, 3]) // 2)
    return f"{name}: {policy.rate.requests} calls, {policy.rate.burst} at once"


def _edit_rules(file: FileDescriptorProto, chance: random.Random) -> str:
    message = chance.choice(file.message_type)
    fields = [
        field
        for field in message.field
        if field.type in VALUES
        and field.label != _F.LABEL_REPEATED
        and not field.HasField("oneof_index")
        and not (field.type == _F.TYPE_STRING and field.options.ByteSize())
    ]
    if not fields:
        return ""
    field = chance.choice(fields)
    rules = {
        _F.TYPE_INT64: [b"\x22\x02\x28" + bytes([n]) for n in (1, 2, 9)]
        + [b"\x22\x02\x18" + bytes([n]) for n in (3, 20, 100)],
        _F.TYPE_INT32: [b"\x1a\x02\x28" + bytes([n]) for n in (1, 2, 9)]
        + [b"\x1a\x02\x18" + bytes([n]) for n in (3, 20, 100)],
        _F.TYPE_STRING: [b"\x72\x02\x10" + bytes([n]) for n in (1, 5)]
        + [b"\x72\x02\x18" + bytes([n]) for n in (6, 20, 100)],
    }[field.type]
    content = chance.choice(rules)
    key = (NUMBER << 3) | 2
    prefix = bytes([key & 0x7F | 0x80, key >> 7, len(content)])
    field.options.MergeFromString(prefix + content)
    return f"{message.name}.{field.name}: {content.hex()}"


EDITS: Final[list[Callable[[FileDescriptorProto, random.Random], str]]] = [
    _edit_roles,
    _edit_roles,
    _edit_user,
    _edit_door,
    _edit_size,
    _edit_rate,
    _edit_rules,
    _edit_rules,
]
