"""A server with a method that has no sound policy does not start, and says which method it is."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool
from google.protobuf.message_factory import GetMessageClass

from guard.situations import KINDS
from meshpact.interceptors.spec import MethodSpec, ServiceSpec
from meshpact.policy.v1 import policy_pb2 as pb
from meshpact.servers import UnguardedError
from meshpact.testing.hosting import Kind, Workbench

_files = itertools.count()


def service(policy: pb.Policy | None) -> ServiceSpec:
    """Two methods: Good has a policy; Bad has `policy`, or none at all."""
    number = next(_files)
    package = f"start.run{number}"
    file = descriptor_pb2.FileDescriptorProto(
        name=f"start/run{number}.proto",
        package=package,
        syntax="proto3",
        dependency=["meshpact/policy/v1/policy.proto"],
    )
    file.message_type.add(name="Empty")
    described = file.service.add(name="StartService")
    for name in ("Good", "Bad"):
        method = described.method.add(
            name=name, input_type=f".{package}.Empty", output_type=f".{package}.Empty"
        )
        chosen = sound() if name == "Good" else policy
        if chosen is not None:
            method.options.Extensions[pb.method].CopyFrom(chosen)
    pool = descriptor_pool.Default()
    pool.AddSerializedFile(file.SerializeToString())
    found = pool.FindFileByName(file.name)
    empty = GetMessageClass(found.message_types_by_name["Empty"])
    descriptor = found.services_by_name["StartService"]
    return ServiceSpec(
        descriptor,
        tuple(MethodSpec(each, each.name.lower(), empty, empty) for each in descriptor.methods),
    )


def sound() -> pb.Policy:
    policy = pb.Policy(
        access=pb.Access(roles=["a.role"]), audit=pb.Audit(level=pb.AUDIT_LEVEL_DENIALS)
    )
    policy.deadline.default.seconds = 1
    return policy


def without(part: str) -> Callable[[], pb.Policy]:
    def make() -> pb.Policy:
        policy = sound()
        getattr(policy, part).Clear()
        for other, _ in list(policy.ListFields()):
            if other.name == part:
                getattr(policy, part).SetInParent()
        return policy

    return make


def empty_access() -> pb.Policy:
    policy = sound()
    policy.access.CopyFrom(pb.Access())
    return policy


def max_below_default() -> pb.Policy:
    policy = sound()
    policy.deadline.max.nanos = 1
    return policy


def open_and_closed() -> pb.Policy:
    policy = sound()
    policy.access.unauthenticated.reason = "Why not."
    return policy


UNSOUND: dict[str, Callable[[], pb.Policy | None]] = {
    "no policy at all": lambda: None,
    "an empty policy": pb.Policy,
    "no audit": without("audit"),
    "no deadline": without("deadline"),
    "an empty access": empty_access,
    "a maximum below the default": max_below_default,
    "roles beside an open door": open_and_closed,
}


def servicer(kind: Kind, spec: ServiceSpec) -> Any:
    async def answer_aio(self: object, request: Any, call: Any) -> Any:
        return request

    def answer(self: object, request: Any, call: Any) -> Any:
        return request

    handler = answer_aio if kind == "aio" else answer
    return type("Started", (), {"SPEC": spec, "good": handler, "bad": handler})()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("policy", UNSOUND.values(), ids=UNSOUND.keys())
def test_a_server_does_not_start_with_a_method_without_a_sound_policy(
    kind: Kind, policy: Callable[[], pb.Policy | None]
) -> None:
    spec = service(policy())
    with (
        Workbench() as bench,
        pytest.raises(UnguardedError) as caught,
        bench.serving(kind, lambda: [servicer(kind, spec)]),
    ):
        pytest.fail("it started")
    text = str(caught.value)
    assert f"{spec.name}.Bad" in text or f"{spec.name}/Bad" in text
    assert spec.descriptor.file.name in text
    assert "Good" not in text


@pytest.mark.parametrize("kind", KINDS)
def test_a_server_starts_when_every_method_has_a_sound_policy(kind: Kind) -> None:
    spec = service(sound())
    with Workbench() as bench, bench.serving(kind, lambda: [servicer(kind, spec)]) as port:
        assert port > 0
