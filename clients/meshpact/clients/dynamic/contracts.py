"""Contracts read at run time: from a protoset, or from a server's reflection."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import grpc
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import DecodeError

from meshpact.clients.dynamic.errors import UseError

# grpcio-reflection ships without types.
reflection_pb2: Final[Any] = importlib.import_module("grpc_reflection.v1alpha.reflection_pb2")

REFLECTION: Final = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"
REFLECTION_TIMEOUT: Final = 10.0


class Contracts:
    """The contracts of a mesh, by the full names of their services."""

    def __init__(self, files: Iterable[FileDescriptorProto]) -> None:
        self.pool = DescriptorPool()
        self._services: list[str] = []
        for file in files:
            self.pool.Add(file)
            prefix = f"{file.package}." if file.package else ""
            self._services += [f"{prefix}{service.name}" for service in file.service]

    @property
    def services(self) -> list[str]:
        """The full names of all services."""
        return sorted(self._services)

    def method(self, name: str) -> MethodDescriptor:
        """The method `package.Service/Method`; UseError says which ones there are instead."""
        service_name, slash, method_name = name.removeprefix("/").rpartition("/")
        if not slash:
            raise UseError(
                f"{name!r} is no method: write package.Service/Method. "
                f"Services: {', '.join(self.services) or 'none'}."
            )
        if service_name not in self._services:
            if not self._services:
                raise UseError(
                    f"no process of the mesh has written down contracts, so {service_name!r} "
                    "is not known. Ask the server for its own: --reflection, with --address."
                )
            near = difflib.get_close_matches(service_name, self._services, 1, 0.5)
            known = near or self.services
            raise UseError(
                f"there is no service {service_name!r} in the contracts of the mesh. "
                f"{'Did you mean' if near else 'There are'}: {', '.join(known)}"
                f"{'?' if near else '.'}"
            )
        service = self.pool.FindServiceByName(service_name)
        found = service.methods_by_name.get(method_name)
        if found is None:
            raise UseError(
                f"{service_name} has no method {method_name!r}. "
                f"It has: {', '.join(sorted(service.methods_by_name))}."
            )
        return found


def from_protoset(path: Path) -> Contracts:
    """The contracts in a FileDescriptorSet; UseError when it cannot be read."""
    try:
        return Contracts(FileDescriptorSet.FromString(path.read_bytes()).file)
    except (OSError, DecodeError, TypeError) as error:
        raise UseError(
            f"{path}: the contracts of the mesh cannot be read ({type(error).__name__}). "
            "Run the mesh: meshpact up."
        ) from None


def from_reflection(channel: grpc.Channel, service: str) -> Contracts:
    """The contract of one service as its server tells it (gRPC server reflection, v1).

    Raises grpc.RpcError when the server refuses, UseError when it does not know the service.
    """
    files: dict[str, FileDescriptorProto] = {}
    wanted = [reflection_pb2.ServerReflectionRequest(file_containing_symbol=service)]
    while wanted:
        for answer in _ask(channel, wanted):
            if answer.HasField("error_response"):
                raise UseError(
                    f"the server does not know {service!r}: {answer.error_response.error_message}"
                )
            for raw in answer.file_descriptor_response.file_descriptor_proto:
                file = FileDescriptorProto.FromString(raw)
                files.setdefault(file.name, file)
        needed = {name for file in files.values() for name in file.dependency} - files.keys()
        wanted = [
            reflection_pb2.ServerReflectionRequest(file_by_filename=name) for name in sorted(needed)
        ]
    return Contracts(_imported_first(files))


def _ask(channel: grpc.Channel, requests: list[Any]) -> Iterator[Any]:
    call = channel.stream_stream(
        REFLECTION,
        request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
        response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
    )
    yield from call(iter(requests), timeout=REFLECTION_TIMEOUT)


def _imported_first(files: dict[str, FileDescriptorProto]) -> list[FileDescriptorProto]:
    ordered: dict[str, FileDescriptorProto] = {}

    def add(file: FileDescriptorProto) -> None:
        if file.name not in ordered:
            for name in file.dependency:
                add(files[name])
            ordered[file.name] = file

    for file in files.values():
        add(file)
    return list(ordered.values())
