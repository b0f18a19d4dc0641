"""The JSON names that protoc fills in by itself: kept, they would count as the author's own."""

from __future__ import annotations

from collections.abc import Iterable

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
)


def drop(file: FileDescriptorProto) -> None:
    """Drop those of a file's fields that follow from the fields' names."""
    _drop(file.extension)
    for message in file.message_type:
        _drop_in(message)


def _drop_in(message: DescriptorProto) -> None:
    _drop(message.field)
    _drop(message.extension)
    for inner in message.nested_type:
        _drop_in(inner)


def _drop(fields: Iterable[FieldDescriptorProto]) -> None:
    for field in fields:
        words = field.name.split("_")
        if field.json_name == words[0] + "".join(word[:1].upper() + word[1:] for word in words[1:]):
            field.ClearField("json_name")
