"""What contracts have beside policies: which names are new, and whether words alone changed.

buf breaking tells what is gone; this tells what came.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
)

from meshpact.contracts.faults import Place
from meshpact.contracts.image import Image
from meshpact.contracts.locations import FileLocations


@dataclass(frozen=True)
class Addition:
    """Something new. `kind`: service, message, field, enum, enum value or extension; `name` is its
    full name."""

    kind: str
    name: str
    place: Place

    def __str__(self) -> str:
        return f"{self.name}: {self.kind} is new"


@dataclass(frozen=True)
class _Element:
    """What a name stands for; fields and enum values are known by number, names may change."""

    kind: str
    holder: str
    key: str | int
    name: str
    file: FileDescriptorProto
    path: tuple[int, ...]


def additions(old: Image, new: Image, moved: Mapping[str, str]) -> Iterator[Addition]:
    """What the user's own files have that they had not, without what a new thing holds; methods
    are findings of their own.

    `moved` maps old names of messages to new ones, with a leading dot, as `Pairs.messages` does.
    """
    now = {name[1:]: after[1:] for name, after in moved.items()}
    known = {
        (each.kind, now.get(each.holder, each.holder), each.key) for each in _elements(old)
    } | {("message", *_split(after)) for after in now.values()}
    fresh: set[str] = set()
    for each in _elements(new):
        if (each.kind, each.holder, each.key) in known:
            continue
        fresh.add(each.name)
        if each.holder not in fresh:
            locations = FileLocations(each.file, new.own[each.file.name])
            yield Addition(
                each.kind, each.name, new.place(each.file.name, *locations.of(each.path))
            )


def differs(old: Image, new: Image) -> bool:
    """Whether anything at all changed in the user's own files, comments included; places do not
    count."""
    before = {file.name: file for file in old.own_files}
    after = {file.name: file for file in new.own_files}
    if before.keys() != after.keys():
        return True
    return any(
        file != after[name] and _content(file) != _content(after[name])
        for name, file in before.items()
    )


def _content(file: FileDescriptorProto) -> tuple[bytes, dict[tuple[int, ...], tuple[str, str]]]:
    bare = FileDescriptorProto()
    bare.CopyFrom(file)
    bare.ClearField("source_code_info")
    comments = {
        tuple(each.path): (each.leading_comments.strip(), each.trailing_comments.strip())
        for each in file.source_code_info.location
        if each.leading_comments or each.trailing_comments
    }
    return bare.SerializeToString(deterministic=True), comments


def _elements(image: Image) -> Iterator[_Element]:
    """Everything that has a name, what holds others before these."""
    for file in image.own_files:
        scope = file.package
        for index, service in enumerate(file.service):
            yield _Element(
                "service", scope, service.name, _full(scope, service.name), file, (6, index)
            )
        for index, message in enumerate(file.message_type):
            yield from _message(file, scope, message, (4, index))
        for index, enum in enumerate(file.enum_type):
            yield from _enum(file, scope, enum, (5, index))
        yield from _fields("extension", file, scope, file.extension, (7,))


def _message(
    file: FileDescriptorProto, scope: str, message: DescriptorProto, path: tuple[int, ...]
) -> Iterator[_Element]:
    if message.options.map_entry:
        return
    name = _full(scope, message.name)
    yield _Element("message", scope, message.name, name, file, path)
    yield from _fields("field", file, name, message.field, (*path, 2))
    for index, inner in enumerate(message.nested_type):
        yield from _message(file, name, inner, (*path, 3, index))
    for index, enum in enumerate(message.enum_type):
        yield from _enum(file, name, enum, (*path, 4, index))
    yield from _fields("extension", file, name, message.extension, (*path, 6))


def _enum(
    file: FileDescriptorProto, scope: str, enum: EnumDescriptorProto, path: tuple[int, ...]
) -> Iterator[_Element]:
    name = _full(scope, enum.name)
    yield _Element("enum", scope, enum.name, name, file, path)
    for index, value in enumerate(enum.value):
        full = _full(name, value.name)
        yield _Element("enum value", name, value.number, full, file, (*path, 2, index))


def _fields(
    kind: str,
    file: FileDescriptorProto,
    scope: str,
    fields: Iterable[FieldDescriptorProto],
    path: tuple[int, ...],
) -> Iterator[_Element]:
    for index, field in enumerate(fields):
        holder = scope if kind == "field" else f"{scope} {field.extendee}"
        yield _Element(kind, holder, field.number, _full(scope, field.name), file, (*path, index))


def _full(scope: str, name: str) -> str:
    return f"{scope}.{name}" if scope else name


def _split(name: str) -> tuple[str, str]:
    scope, _, last = name.rpartition(".")
    return scope, last
