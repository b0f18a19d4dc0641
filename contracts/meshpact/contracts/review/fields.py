"""Fields of messages on both sides, and what is said of them beside the wire: redaction."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto

from meshpact.contracts.faults import Place
from meshpact.contracts.model import Contracts, File
from meshpact.contracts.review.model import Delta, Impact


@dataclass(frozen=True)
class Message:
    """A message of the user's own contracts: `name` with the leading dot, its path in the file."""

    name: str
    file: File
    path: tuple[int, ...]
    proto: DescriptorProto

    def place(self, contracts: Contracts, number: int = 0) -> Place:
        """Where it stands, or its field of a number."""
        path = self.path
        for index, field in enumerate(self.proto.field):
            if field.number == number:
                path = (*path, 2, index)
        return contracts.image.place(self.file.name, *self.file.locations.of(path))

    def fields(self) -> dict[int, FieldDescriptorProto]:
        """Its fields by number."""
        return {field.number: field for field in self.proto.field}


def own_messages(contracts: Contracts) -> dict[str, Message]:
    """The messages of the user's own contracts by name."""
    return {
        message.name: message
        for file in contracts.files
        for index, proto in enumerate(file.proto.message_type)
        for message in _nested(
            file, f".{file.proto.package}" if file.proto.package else "", (4, index), proto
        )
    }


def _nested(
    file: File, scope: str, path: tuple[int, ...], proto: DescriptorProto
) -> Iterator[Message]:
    name = f"{scope}.{proto.name}"
    yield Message(name, file, path, proto)
    for index, inner in enumerate(proto.nested_type):
        yield from _nested(file, name, (*path, 3, index), inner)


def redaction_deltas(old: FieldDescriptorProto, new: FieldDescriptorProto) -> Iterator[Delta]:
    """Whether logs show a field now, or do not any more."""
    if old.options.debug_redact and not new.options.debug_redact:
        yield Delta("redaction-removed", Impact.WIDENS, "is not redacted in logs any more")
    elif new.options.debug_redact and not old.options.debug_redact:
        yield Delta("redaction-added", Impact.NOTE, "is redacted in logs now")
