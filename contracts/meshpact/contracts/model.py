"""The services of compiled contracts with their policies merged: what checks and emitter share."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    FileDescriptorProto,
    MethodDescriptorProto,
    ServiceDescriptorProto,
)

from meshpact.contracts import errorenums, names
from meshpact.contracts.errorenums import ErrorEnum, Errors, ErrorValue
from meshpact.contracts.image import Image
from meshpact.contracts.locations import FileLocations
from meshpact.interceptors import policy as policies
from meshpact.policy.v1 import policy_pb2 as pb


@dataclass(frozen=True)
class Method:
    """One method with its merged policy; `inherited` names the parts that are the service's."""

    proto: MethodDescriptorProto
    service: Service
    path: tuple[int, ...]
    policy: pb.Policy
    inherited: frozenset[str]

    @property
    def name(self) -> str:
        """`acme.retail.inventory.v1.InventoryService/ReserveStock`."""
        return f"{self.service.full_name}/{self.proto.name}"

    @property
    def attribute(self) -> str:
        """Its name on the generated classes: `reserve_stock`."""
        return names.attribute(self.proto.name)

    @property
    def constant(self) -> str:
        """The name of its MethodSpec: `RESERVE_STOCK`.

        In a file of several services every one bears its service's name before it.
        """
        own = names.upper_snake(names.bare(self.proto.name))
        return f"{self.service.constant}_{own}" if self.service.has_siblings else own


@dataclass(frozen=True)
class Service:
    """One service of the user's own contracts."""

    proto: ServiceDescriptorProto
    file: File
    path: tuple[int, ...]

    @property
    def full_name(self) -> str:
        """`acme.retail.inventory.v1.InventoryService`."""
        return ".".join(filter(None, (self.file.proto.package, self.proto.name)))

    @property
    def constant(self) -> str:
        """The name of its ServiceSpec: `INVENTORY_SERVICE`."""
        return names.upper_snake(names.bare(self.proto.name))

    @property
    def has_siblings(self) -> bool:
        """Whether its file has other services."""
        return len(self.file.proto.service) > 1

    @cached_property
    def methods(self) -> tuple[Method, ...]:
        """Its methods, in the contract's order."""
        shared = self.proto.options.Extensions[pb.service]
        return tuple(
            Method(
                proto,
                self,
                (*self.path, 2, index),
                *policies.merge(shared, proto.options.Extensions[pb.method]),
            )
            for index, proto in enumerate(self.proto.method)
        )


@dataclass(frozen=True)
class File:
    """One file of the user's own contracts."""

    proto: FileDescriptorProto
    locations: FileLocations

    @property
    def name(self) -> str:
        """Its name for imports: `acme/retail/inventory/v1/inventory.proto`."""
        return self.proto.name

    @cached_property
    def services(self) -> tuple[Service, ...]:
        """Its services, in the contract's order."""
        return tuple(
            Service(proto, self, (6, index)) for index, proto in enumerate(self.proto.service)
        )

    @cached_property
    def error_enums(self) -> tuple[ErrorEnum, ...]:
        """Its error enums."""
        return tuple(errorenums.of_file(self.proto))

    @cached_property
    def errors(self) -> tuple[ErrorValue, ...]:
        """The errors of all its error enums."""
        return tuple(value for enum in self.error_enums for value in enum.values)

    @property
    def has_module(self) -> bool:
        """Whether a `_mesh` module is generated from it."""
        return bool(self.services or self.error_enums)


class Contracts:
    """All contracts of an image: the user's own files, and everything they can refer to."""

    def __init__(self, image: Image) -> None:
        self.image = image
        self.files = tuple(
            File(proto, FileLocations(proto, image.own[proto.name])) for proto in image.own_files
        )
        self.errors = Errors(image.files)

    @cached_property
    def messages(self) -> dict[str, tuple[FileDescriptorProto, DescriptorProto]]:
        """Every message of the image by its full name with a leading dot, and its file."""
        found: dict[str, tuple[FileDescriptorProto, DescriptorProto]] = {}
        for file in self.image.files:
            scope = f".{file.package}" if file.package else ""
            for message in file.message_type:
                for name, inner in _with_nested(scope, message):
                    found[name] = (file, inner)
        return found

    def errors_of(self, method: Method) -> list[ErrorValue]:
        """The errors that a method's policy lets out; those that cannot be told are left out."""
        package = method.service.file.proto.package
        found = (self.errors.find(name, package) for name in method.policy.errors)
        return [values[0] for values in found if len(values) == 1]


def _with_nested(scope: str, message: DescriptorProto) -> Iterator[tuple[str, DescriptorProto]]:
    name = f"{scope}.{message.name}"
    yield name, message
    for inner in message.nested_type:
        yield from _with_nested(name, inner)
