"""Reflection: what it shows, to whom, under both of its names."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool

import tlsworld
from demoservice import Demo, DemoSync
from meshpact.clients import CallError
from meshpact.interceptors.spec import MethodSpec
from meshpact.servers import Drain, Server, ServerSync
from meshpact.servers.reflection import REFLECTION_V1, REFLECTION_V1ALPHA
from meshpact.servers.wellknown import reflection_pb2

BOTH = pytest.mark.parametrize(
    "method", [REFLECTION_V1.methods[0], REFLECTION_V1ALPHA.methods[0]], ids=["v1", "v1alpha"]
)
QUICK = Drain(quiet=0.02, grace=2.0)
Request = reflection_pb2.ServerReflectionRequest


async def ask(
    method: MethodSpec[Any, Any], *requests: Any, name: str = tlsworld.ADMIN
) -> list[Any]:
    server = Server(
        identity=tlsworld.identity(tlsworld.SERVER), guard=tlsworld.guard(), drain=QUICK
    )
    server.add(Demo())

    async def each() -> AsyncIterator[Any]:
        for request in requests:
            yield request

    async with server, tlsworld.channel(server.address, name) as channel:
        return [r async for r in channel.stream_stream(method)(each(), None, (), "")]


@BOTH
async def test_every_service_is_listed(method: MethodSpec[Any, Any]) -> None:
    (answer,) = await ask(method, Request(list_services=""))
    assert [each.name for each in answer.list_services_response.service] == [
        "demo.v1.DemoService",
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
        "grpc.reflection.v1alpha.ServerReflection",
    ]


@BOTH
async def test_it_is_for_the_role_alone(method: MethodSpec[Any, Any]) -> None:
    with pytest.raises(CallError) as caught:
        await ask(method, Request(list_services=""), name=tlsworld.ALICE)
    assert caught.value.reason == "ROLE_MISSING"


@pytest.mark.parametrize(
    "symbol",
    [
        "demo.v1.DemoService",
        "demo.v1.DemoService.Echo",
        "demo.v1.EchoRequest",
        "demo.v1.DemoError",
        "meshpact.policy.v1.Policy",
        "meshpact.policy.v1.method",
        "buf.validate.field",
        "grpc.reflection.v1.ServerReflectionRequest",
    ],
)
async def test_a_symbol_comes_with_all_files_it_needs(symbol: str) -> None:
    (answer,) = await ask(REFLECTION_V1.methods[0], Request(file_containing_symbol=symbol))
    files = {
        file.name: file
        for raw in answer.file_descriptor_response.file_descriptor_proto
        for file in [descriptor_pb2.FileDescriptorProto.FromString(raw)]
    }
    pool = descriptor_pool.DescriptorPool()
    added: set[str] = set()

    def add(name: str) -> None:
        if name not in added:
            added.add(name)
            for needed in files[name].dependency:
                add(needed)
            pool.Add(files[name])

    for name in files:
        add(name)
    assert pool.FindFileByName(next(iter(files))).name == FILES[symbol.split(".")[1]]


def test_the_two_reflections_differ_in_their_package_alone() -> None:
    v1, alpha = REFLECTION_V1.descriptor.file, REFLECTION_V1ALPHA.descriptor.file
    assert v1.package == "grpc.reflection.v1"
    assert sorted(v1.message_types_by_name) == sorted(alpha.message_types_by_name)
    assert descriptor_pool.Default() is not v1.pool


FILES = {
    "v1": "demo/v1/demo.proto",
    "policy": "meshpact/policy/v1/policy.proto",
    "validate": "buf/validate/validate.proto",
    "reflection": "grpc/reflection/v1/reflection.proto",
}


async def test_policy_options_are_found_as_extensions() -> None:
    numbers, file, validate = await ask(
        REFLECTION_V1.methods[0],
        Request(all_extension_numbers_of_type="google.protobuf.MethodOptions"),
        Request(
            file_containing_extension={
                "containing_type": "google.protobuf.MethodOptions",
                "extension_number": 61637,
            }
        ),
        Request(all_extension_numbers_of_type="google.protobuf.FieldOptions"),
    )
    assert list(numbers.all_extension_numbers_response.extension_number) == [61637]
    first = descriptor_pb2.FileDescriptorProto.FromString(
        file.file_descriptor_response.file_descriptor_proto[0]
    )
    assert first.name == "meshpact/policy/v1/policy.proto"
    assert list(validate.all_extension_numbers_response.extension_number) == [1159, 1160]


async def test_a_file_is_found_by_its_name() -> None:
    (answer,) = await ask(REFLECTION_V1.methods[0], Request(file_by_filename="demo/v1/demo.proto"))
    assert len(answer.file_descriptor_response.file_descriptor_proto) > 2


async def test_what_is_not_served_is_not_found_though_the_process_knows_it() -> None:
    answers = await ask(
        REFLECTION_V1.methods[0],
        Request(file_containing_symbol="google.rpc.Status"),
        Request(file_by_filename="google/rpc/status.proto"),
        Request(file_containing_symbol="no.such.Thing"),
        Request(all_extension_numbers_of_type="google.rpc.Status"),
        Request(file_containing_extension={"containing_type": "demo.v1.EchoRequest"}),
        Request(),
    )
    assert [each.error_response.error_code for each in answers] == [5, 5, 5, 5, 5, 3]


def test_threads_answer_reflection() -> None:
    server = ServerSync(
        identity=tlsworld.identity(tlsworld.SERVER), guard=tlsworld.guard(), drain=QUICK
    )
    server.add(DemoSync())
    with server, tlsworld.channel_sync(server.address, tlsworld.ADMIN) as channel:
        for spec in (REFLECTION_V1, REFLECTION_V1ALPHA):
            call = channel.stream_stream(spec.methods[0])
            (answer,) = call([Request(list_services="")], None, (), "")
            assert len(answer.list_services_response.service) == 4


async def test_a_server_without_reflection_does_not_know_it() -> None:
    server = Server(
        identity=tlsworld.identity(tlsworld.SERVER),
        guard=tlsworld.guard(),
        drain=QUICK,
        reflection=False,
    )
    async with server, tlsworld.channel(server.address, tlsworld.ADMIN) as channel:
        call = channel.stream_stream(REFLECTION_V1.methods[0])
        with pytest.raises(CallError) as caught:
            _ = [r async for r in call([Request(list_services="")], None, (), "")]
    assert caught.value.reason == "METHOD_UNKNOWN"
