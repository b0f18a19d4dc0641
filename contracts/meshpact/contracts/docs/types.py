"""Types of contracts: their names, where they stand, and which of them others use."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FileDescriptorProto,
)

from meshpact.contracts.docs.known import Known, is_map
from meshpact.contracts.docs.model import TypeRef

_WELL_KNOWN = "google.protobuf"
_IN_WORDS = {
    "google.protobuf.Timestamp": "Timestamp",
    "google.protobuf.Duration": "Duration",
    "google.protobuf.FieldMask": "FieldMask",
    "google.protobuf.Empty": "Empty",
}
_SCALARS = {
    number: name.removeprefix("TYPE_").lower()
    for name, number in vars(FieldDescriptor).items()
    if name.startswith("TYPE_")
}


def of(field: FieldDescriptor) -> TypeRef:
    """The type of a field in words."""
    if is_map(field):
        assert field.message_type is not None
        key, value = (field.message_type.fields_by_name[name] for name in ("key", "value"))
        found = of(value)
        return TypeRef(f"map of {of(key).text} to {found.text}", found.target, found.package)
    inner: Descriptor | EnumDescriptor | None = field.message_type or field.enum_type
    if inner is None:
        found = TypeRef(_SCALARS.get(field.type, "value"))
    elif inner.file.package == _WELL_KNOWN:
        found = TypeRef(_IN_WORDS.get(inner.full_name, inner.full_name))
    else:
        declared: Any = field  # its file is there, and missing in the stubs
        here = inner.file.package == declared.file.package
        text = short(inner) if here else inner.full_name
        found = TypeRef(text, inner.full_name, inner.file.package)
    if field.is_repeated:
        return TypeRef(f"list of {found.text}", found.target, found.package)
    return found


def short(descriptor: Descriptor | EnumDescriptor) -> str:
    """`Outer.Inner`, without the package."""
    package = descriptor.file.package
    return descriptor.full_name.removeprefix(f"{package}." if package else "")


def key(field: FieldDescriptor) -> str:
    """What `paths` has the field under."""
    if field.is_extension:
        return f"{field.full_name}/extension"
    assert field.containing_type is not None
    return f"{field.containing_type.full_name}/{field.name}"


def messages(file: FileDescriptorProto) -> Iterator[str]:
    """The full names of the messages of a file, those of maps apart."""
    for name, proto, _ in _messages(file):
        if not proto.options.map_entry:
            yield name


def enums(file: FileDescriptorProto) -> Iterator[str]:
    """The full names of the enums of a file."""
    for name, _, _ in _enums(file):
        yield name


def paths(file: FileDescriptorProto) -> dict[str, tuple[str, tuple[int, ...]]]:
    """File and descriptor path of messages and enums by full name, of fields and values by
    `full.Name/field`, of extensions by `full.name/extension`."""
    found: dict[str, tuple[str, tuple[int, ...]]] = {}
    scope = f"{file.package}." if file.package else ""
    for index, extension in enumerate(file.extension):
        found[f"{scope}{extension.name}/extension"] = file.name, (7, index)
    for name, message, path in _messages(file):
        found[name] = file.name, path
        for index, field in enumerate(message.field):
            found[f"{name}/{field.name}"] = file.name, (*path, 2, index)
        for index, extension in enumerate(message.extension):
            found[f"{name}.{extension.name}/extension"] = file.name, (*path, 6, index)
    for name, enum, path in _enums(file):
        found[name] = file.name, path
        for index, value in enumerate(enum.value):
            found[f"{name}/{value.name}"] = file.name, (*path, 2, index)
    return found


def map_entries(file: FileDescriptorProto) -> frozenset[str]:
    """The full names of the messages that protoc makes for maps."""
    return frozenset(name for name, proto, _ in _messages(file) if proto.options.map_entry)


def reachable(known: Known, files: Iterable[FileDescriptorProto]) -> frozenset[str]:
    """The full names of all messages and enums that the types and methods of these files use."""
    waiting: list[Descriptor] = []
    found: set[str] = set()
    for file in files:
        waiting += [known.message(name) for name in messages(file)]
        for service in file.service:
            for method in service.method:
                for name in (method.input_type, method.output_type):
                    waiting.append(known.message(name.lstrip(".")))
        for extension in file.extension:
            if extension.type_name and not extension.type_name.startswith(f".{_WELL_KNOWN}."):
                waiting += [known.message(extension.type_name.lstrip("."))] * (extension.type == 11)
    while waiting:
        message = waiting.pop()
        if message.full_name in found or message.file.package == _WELL_KNOWN:
            continue
        found.add(message.full_name)
        for field in message.fields:
            if field.message_type is not None:
                waiting.append(field.message_type)
            if field.enum_type is not None and field.enum_type.file.package != _WELL_KNOWN:
                found.add(field.enum_type.full_name)
    return frozenset(name for name in found)


def has_rules(known: Known, message: Descriptor) -> bool:
    """Whether a message or one inside it has validation rules."""
    waiting, seen = [message], set[str]()
    while waiting:
        current = waiting.pop()
        if current.full_name in seen:
            continue
        seen.add(current.full_name)
        if known.message_rules(current) is not None:
            return True
        for field in current.fields:
            if known.field_rules(field) is not None:
                return True
            if field.message_type is not None:
                waiting.append(field.message_type)
    return False


def _messages(
    file: FileDescriptorProto,
) -> Iterator[tuple[str, DescriptorProto, tuple[int, ...]]]:
    for index, message in enumerate(file.message_type):
        yield from _nested(message, file.package, (4, index))


def _nested(
    message: DescriptorProto, scope: str, path: tuple[int, ...]
) -> Iterator[tuple[str, DescriptorProto, tuple[int, ...]]]:
    name = f"{scope}.{message.name}" if scope else message.name
    yield name, message, path
    for index, inner in enumerate(message.nested_type):
        yield from _nested(inner, name, (*path, 3, index))


def _enums(
    file: FileDescriptorProto,
) -> Iterator[tuple[str, EnumDescriptorProto, tuple[int, ...]]]:
    for index, enum in enumerate(file.enum_type):
        yield f"{file.package}.{enum.name}" if file.package else enum.name, enum, (5, index)
    for name, message, path in _messages(file):
        for index, enum in enumerate(message.enum_type):
            yield f"{name}.{enum.name}", enum, (*path, 4, index)
