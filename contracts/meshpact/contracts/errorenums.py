"""The error enums of contracts: which errors there are, and which of them a method names."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FileDescriptorProto,
)

from meshpact.contracts import names
from meshpact.policy.v1 import policy_pb2 as pb


@dataclass(frozen=True)
class ErrorValue:
    """One error of a contract."""

    file: str
    package: str
    enum: str
    """The enum's own name."""
    domain: str
    name: str
    """The value's own name."""
    full_name: str
    reason: str
    path: tuple[int, ...]
    """Its descriptor path in the file."""
    option: pb.Error

    @property
    def class_name(self) -> str:
        """The name of the exception that is generated from it."""
        return names.safe(names.camel(self.reason))


@dataclass(frozen=True)
class ErrorEnum:
    """An enum that carries the option meshpact.policy.v1.errors."""

    file: str
    full_name: str
    path: tuple[int, ...]
    domain: str
    zero: str
    """The name of the value 0, which is no error; "" when there is none."""
    values: tuple[ErrorValue, ...]
    prefix: str
    """What each value's name must start with."""


def of_file(file: FileDescriptorProto) -> list[ErrorEnum]:
    """The error enums of a file, those inside messages included, in the file's order."""
    return [
        _enum(file, enum, scope, path)
        for enum, scope, path in _enums(file)
        if enum.options.HasExtension(pb.errors)
    ]


def misplaced(file: FileDescriptorProto) -> Iterator[tuple[str, tuple[int, ...], bool]]:
    """Values whose option `error` makes no error: full name, path, and whether (being the value 0)
    they stand in an error enum."""
    for enum, scope, path in _enums(file):
        in_error_enum = enum.options.HasExtension(pb.errors)
        for index, value in enumerate(enum.value):
            if value.options.HasExtension(pb.error) and (value.number == 0 or not in_error_enum):
                yield ".".join((*scope, value.name)), (*path, 2, index), in_error_enum


class Errors:
    """All errors of an image, looked up as the `errors` of a policy name them."""

    def __init__(self, files: Sequence[FileDescriptorProto]) -> None:
        self._values = [
            value
            for file in files
            for enum in of_file(file)
            for value in enum.values
            if value.reason
        ]
        self._by_full_name = {value.full_name: value for value in self._values}
        self._by_reason: dict[tuple[str, str], list[ErrorValue]] = {}
        for value in self._values:
            self._by_reason.setdefault((value.package, value.reason), []).append(value)

    def find(self, name: str, package: str) -> list[ErrorValue]:
        """The errors that `name` may mean in a contract of `package`: one when all is well."""
        if "." in name:
            return [self._by_full_name[name]] if name in self._by_full_name else []
        return self._by_reason.get((package, name), [])

    def close(self, name: str, package: str) -> list[str]:
        """What the author may have meant: names that `find` knows, the closest first."""
        if "." in name:
            return difflib.get_close_matches(name, self._by_full_name, n=3, cutoff=0.6)
        here = sorted({value.reason for value in self._values if value.package == package})
        bare = [r for r in here if name.endswith("_" + r)]
        elsewhere = [v.full_name for v in self._values if v.reason == name]
        return bare or difflib.get_close_matches(name, here, n=3, cutoff=0.6) or elsewhere[:3]

    def reasons(self, package: str) -> list[str]:
        """The reasons of a package, sorted."""
        return sorted({value.reason for value in self._values if value.package == package})


def _enums(
    file: FileDescriptorProto,
) -> Iterator[tuple[EnumDescriptorProto, tuple[str, ...], tuple[int, ...]]]:
    """Every enum of a file with the names around it and its descriptor path."""
    package = (file.package,) if file.package else ()
    for index, enum in enumerate(file.enum_type):
        yield enum, package, (5, index)
    for index, message in enumerate(file.message_type):
        yield from _nested(message, package, (4, index))


def _nested(
    message: DescriptorProto, scope: tuple[str, ...], path: tuple[int, ...]
) -> Iterator[tuple[EnumDescriptorProto, tuple[str, ...], tuple[int, ...]]]:
    scope = (*scope, message.name)
    for index, enum in enumerate(message.enum_type):
        yield enum, scope, (*path, 4, index)
    for index, inner in enumerate(message.nested_type):
        yield from _nested(inner, scope, (*path, 3, index))


def _enum(
    file: FileDescriptorProto,
    enum: EnumDescriptorProto,
    scope: tuple[str, ...],
    path: tuple[int, ...],
) -> ErrorEnum:
    prefix = names.upper_snake(enum.name) + "_"
    domain = enum.options.Extensions[pb.errors].domain
    values = tuple(
        ErrorValue(
            file=file.name,
            package=file.package,
            enum=enum.name,
            domain=domain,
            name=value.name,
            full_name=".".join((*scope, value.name)),
            reason=value.name.removeprefix(prefix) if value.name.startswith(prefix) else "",
            path=(*path, 2, index),
            option=value.options.Extensions[pb.error],
        )
        for index, value in enumerate(enum.value)
        if value.number != 0
    )
    zero = next((value.name for value in enum.value if value.number == 0), "")
    return ErrorEnum(file.name, ".".join((*scope, enum.name)), path, domain, zero, values, prefix)
