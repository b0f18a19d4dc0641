"""Random policies made into real contracts: services with options, in protobuf's own pool."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from random import Random
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from buf.validate import validate_pb2
from meshpact.interceptors.spec import MethodSpec, ServiceSpec
from meshpact.policy.v1 import policy_pb2 as pb

ROLES = ("a.reader", "a.writer", "b.partner", "c.nobody", "o.observed")
SCOPES = ("x.read", "x.write")
METHODS_PER_SERVICE = 10

_files = itertools.count()
_AUDITS = (pb.AUDIT_LEVEL_NONE, pb.AUDIT_LEVEL_DENIALS, pb.AUDIT_LEVEL_ALL)


@dataclass(frozen=True)
class Contract:
    """A method with what stands on it and on its service."""

    spec: MethodSpec[Any, Any]
    service_policy: pb.Policy
    method_policy: pb.Policy


def contracts(random: Random, count: int) -> tuple[list[ServiceSpec], list[Contract]]:
    """`count` methods of random shapes and policies, in services of ten."""
    package = f"oracle.run{next(_files)}"
    file = descriptor_pb2.FileDescriptorProto(
        name=f"{package.replace('.', '/')}.proto",
        package=package,
        syntax="proto3",
        dependency=["buf/validate/validate.proto", "meshpact/policy/v1/policy.proto"],
    )
    _add_messages(file)
    policies: list[tuple[pb.Policy, pb.Policy]] = []
    while len(policies) < count:
        service = file.service.add(name=f"Service{len(file.service)}")
        shared = _part_of(random, _policy(random), 0.4)
        if shared.ByteSize():
            service.options.Extensions[pb.service].CopyFrom(shared)
        for number in range(min(METHODS_PER_SERVICE, count - len(policies))):
            own = _own(random, shared)
            method = service.method.add(
                name=f"Method{number}",
                input_type=f".{package}.Ask",
                output_type=f".{package}.Told",
                client_streaming=random.random() < 0.25,
                server_streaming=random.random() < 0.25,
            )
            if own.ByteSize():
                method.options.Extensions[pb.method].CopyFrom(own)
            policies.append((shared, own))
    pool = descriptor_pool.Default()
    pool.AddSerializedFile(file.SerializeToString())
    built = pool.FindFileByName(file.name)
    ask: type[Message] = GetMessageClass(built.message_types_by_name["Ask"])
    told: type[Message] = GetMessageClass(built.message_types_by_name["Told"])
    services = [
        ServiceSpec(
            descriptor,
            tuple(
                MethodSpec(method, method.name.lower(), ask, told) for method in descriptor.methods
            ),
        )
        for descriptor in built.services_by_name.values()
    ]
    methods = [method for service in services for method in service.methods]
    return services, [
        Contract(spec, *policy) for spec, policy in zip(methods, policies, strict=True)
    ]


def _add_messages(file: descriptor_pb2.FileDescriptorProto) -> None:
    kind = descriptor_pb2.FieldDescriptorProto
    ask = file.message_type.add(name="Ask")
    text = ask.field.add(
        name="text", number=1, type=kind.TYPE_STRING, label=kind.LABEL_OPTIONAL, json_name="text"
    )
    rules = text.options.Extensions[validate_pb2.field].string
    rules.min_len, rules.max_len = 1, 64
    ask.field.add(
        name="padding", number=2, type=kind.TYPE_BYTES, label=kind.LABEL_OPTIONAL, json_name="pad"
    )
    ask.field.add(
        name="hold", number=3, type=kind.TYPE_STRING, label=kind.LABEL_OPTIONAL, json_name="hold"
    )
    file.message_type.add(name="Told")


def _policy(random: Random) -> pb.Policy:
    policy = pb.Policy(audit=pb.Audit(level=random.choice(_AUDITS)))
    _access(random, policy.access)
    policy.deadline.default.CopyFrom(Duration(seconds=random.randint(5, 20)))
    if random.random() < 0.5:
        policy.deadline.max.CopyFrom(Duration(seconds=random.randint(20, 60)))
    if random.random() < 0.35:
        _rate(random, policy)
    if random.random() < 0.15:
        if random.random() < 0.3:
            policy.concurrency.unlimited = True
        else:
            policy.concurrency.max = random.randint(1, 2)
    if random.random() < 0.3:
        policy.message_size.request_bytes = random.choice((0, 150, 300))
        policy.message_size.response_bytes = 1000
    policy.criticality = random.choice(pb.Criticality.values())
    return policy


def _access(random: Random, access: pb.Access) -> None:
    if random.random() < 0.08:
        access.unauthenticated.reason = "The oracle needs open doors."
        return
    if random.random() < 0.75:
        access.roles.extend(random.sample(ROLES, random.randint(1, 2)))
        access.end_user = random.choice(
            (
                pb.END_USER_UNSPECIFIED,
                pb.END_USER_NONE,
                pb.END_USER_OPTIONAL,
                pb.END_USER_REQUIRED,
            )
        )
    else:
        access.end_user = pb.END_USER_REQUIRED
    if random.random() < 0.12:
        access.workload_roles.extend(random.sample(ROLES, random.randint(1, 2)))
        if access.roles and random.random() < 0.5:
            access.ClearField("roles")
    if access.end_user == pb.END_USER_REQUIRED and random.random() < 0.2:
        access.user_roles.extend(random.sample(ROLES, random.randint(1, 2)))
    if access.end_user == pb.END_USER_REQUIRED and random.random() < 0.5:
        access.scopes.extend(random.sample(SCOPES, random.randint(1, 2)))
    if access.end_user in (pb.END_USER_OPTIONAL, pb.END_USER_REQUIRED) and random.random() < 0.3:
        access.audience = "special"


def _rate(random: Random, policy: pb.Policy) -> None:
    if random.random() < 0.15:
        policy.rate.unlimited = True
        return
    policy.rate.requests = random.randint(1, 3)
    policy.rate.per.CopyFrom(Duration(seconds=36000))  # no call comes back within a test
    policy.rate.burst = random.choice((0, 1, 2, 3))
    keys = [pb.RATE_KEY_UNSPECIFIED, pb.RATE_KEY_CALLER, pb.RATE_KEY_METHOD]
    if policy.access.end_user in (pb.END_USER_OPTIONAL, pb.END_USER_REQUIRED):
        keys += [pb.RATE_KEY_END_USER] * 2
    policy.rate.by = random.choice(keys)


def _own(random: Random, shared: pb.Policy) -> pb.Policy:
    """A method's policy: what the service lacks, and some of what it has."""
    while True:
        own = _policy(random)
        for field, _ in shared.ListFields():
            if random.random() < 0.6:
                _clear(own, field.name)
        rate = own.rate if own.HasField("rate") else shared.rate
        access = own.access if own.HasField("access") else shared.access
        looked_at = access.end_user in (pb.END_USER_OPTIONAL, pb.END_USER_REQUIRED)
        if rate.by != pb.RATE_KEY_END_USER or looked_at:
            return own


def _part_of(random: Random, policy: pb.Policy, share: float) -> pb.Policy:
    for field, _ in policy.ListFields():
        if random.random() > share:
            _clear(policy, field.name)
    return policy


def _clear(message: Message, field: str) -> None:
    message.ClearField(field)
