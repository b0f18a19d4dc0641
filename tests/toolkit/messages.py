"""A message with one field of each kind, made without protoc: a book, as a library has it."""

from __future__ import annotations

import importlib
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

_behavior: Any = importlib.import_module("google.api.field_behavior_pb2")
_Field = descriptor_pb2.FieldDescriptorProto
NAME = "toolkit.test.Book"


def _field(
    kind: descriptor_pb2.DescriptorProto, name: str, type_: int, *, of: str = "", **options: Any
) -> None:
    field = kind.field.add(name=name, number=len(kind.field) + 1)
    field.type = type_  # type: ignore[assignment]
    field.label = _Field.LABEL_REPEATED if options.get("many") else _Field.LABEL_OPTIONAL
    if of:
        field.type_name = of
    if options.get("secret"):
        field.options.debug_redact = True
    for behavior in options.get("behavior", ()):
        field.options.Extensions[_behavior.field_behavior].append(behavior)


def _made() -> type[Message]:
    file = descriptor_pb2.FileDescriptorProto(
        name="toolkit/test/book.proto",
        package="toolkit.test",
        syntax="proto3",
        dependency=[
            "google/protobuf/timestamp.proto",
            "google/protobuf/any.proto",
            "google/api/field_behavior.proto",
        ],
    )
    for name in ("google.protobuf.any_pb2", "google.protobuf.timestamp_pb2"):
        importlib.import_module(name)
    shelf = file.message_type.add(name="Shelf")
    _field(shelf, "room", _Field.TYPE_STRING)
    _field(shelf, "keeper", _Field.TYPE_STRING, secret=True)
    _field(shelf, "key", _Field.TYPE_BYTES)
    binding = file.message_type.add(name="Binding")
    _field(binding, "by", _Field.TYPE_STRING)
    _field(binding, "checked_by", _Field.TYPE_STRING, behavior=[_behavior.OUTPUT_ONLY])
    _field(binding, "serial", _Field.TYPE_STRING, behavior=[_behavior.IMMUTABLE])
    book = file.message_type.add(name="Book")
    entry = book.nested_type.add(name="NotesEntry")
    entry.options.map_entry = True
    entry.field.add(name="key", number=1, type=_Field.TYPE_STRING, label=_Field.LABEL_OPTIONAL)
    entry.field.add(
        name="value",
        number=2,
        type=_Field.TYPE_MESSAGE,
        type_name=".toolkit.test.Shelf",
        label=_Field.LABEL_OPTIONAL,
    )
    state = book.enum_type.add(name="State")
    state.value.add(name="STATE_UNSPECIFIED", number=0)
    state.value.add(name="STATE_LENT", number=1)
    own = ".toolkit.test."
    _field(book, "name", _Field.TYPE_STRING, behavior=[_behavior.IDENTIFIER])
    _field(book, "title", _Field.TYPE_STRING)
    _field(book, "isbn", _Field.TYPE_STRING, behavior=[_behavior.IMMUTABLE])
    _field(book, "reader", _Field.TYPE_STRING, secret=True)
    _field(book, "shelf", _Field.TYPE_MESSAGE, of=own + "Shelf")
    _field(book, "past_shelves", _Field.TYPE_MESSAGE, of=own + "Shelf", many=True)
    _field(book, "notes", _Field.TYPE_MESSAGE, of=own + "Book.NotesEntry", many=True)
    _field(book, "state", _Field.TYPE_ENUM, of=own + "Book.State")
    _field(book, "tags", _Field.TYPE_STRING, many=True)
    _field(book, "cover", _Field.TYPE_BYTES)
    stamp = ".google.protobuf.Timestamp"
    _field(book, "made_at", _Field.TYPE_MESSAGE, of=stamp, behavior=[_behavior.OUTPUT_ONLY])
    _field(book, "extra", _Field.TYPE_MESSAGE, of=".google.protobuf.Any")
    _field(book, "vault", _Field.TYPE_MESSAGE, of=own + "Shelf", secret=True)
    _field(book, "rating", _Field.TYPE_INT32)
    rating = book.field[-1]
    rating.proto3_optional = True
    rating.oneof_index = 0
    book.oneof_decl.add(name="_rating")
    _field(book, "binding", _Field.TYPE_MESSAGE, of=own + "Binding")
    pool = descriptor_pool.Default()
    pool.Add(file) if hasattr(pool, "Add") else pool.AddSerializedFile(file.SerializeToString())
    return GetMessageClass(pool.FindMessageTypeByName(NAME))


Book: Any = _made()
