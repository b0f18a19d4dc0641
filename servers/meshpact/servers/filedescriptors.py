"""Contracts as other tools expect them: with the JSON names that protoc leaves out of Python code.

Without `json_name`, grpcurl and others written in Go print `on_hand` where ProtoJSON has `onHand`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from google.protobuf.descriptor import Descriptor, FileDescriptor
from google.protobuf.descriptor_pb2 import DescriptorProto, FileDescriptorProto
from google.rpc import error_details_pb2

ERROR_DETAILS: Final[FileDescriptor] = error_details_pb2.DESCRIPTOR
"""The messages in the details of a status (google/rpc/error_details.proto)."""


def whole(file: FileDescriptor) -> FileDescriptorProto:
    """The file with the JSON name of every field, as `protoc --descriptor_set_out` writes it."""
    proto = FileDescriptorProto()
    file.CopyToProto(proto)
    _name_fields(file.message_types_by_name, proto.message_type)
    return proto


def _name_fields(described: Mapping[str, Descriptor], messages: Iterable[DescriptorProto]) -> None:
    for message in messages:
        known = described[message.name]
        for field in message.field:
            field.json_name = known.fields_by_name[field.name].json_name
        _name_fields(known.nested_types_by_name, message.nested_type)
