"""MP172: repeated fields and maps that callers send have a largest size."""

from __future__ import annotations

from google.protobuf.descriptor_pb2 import FieldDescriptorProto

from meshpact.contracts.lint.model import Context, Field, Hit, Hits, LintRule


def _find(context: Context, field: Field) -> Hits:
    proto, message = field.proto, field.message
    if proto.label != FieldDescriptorProto.LABEL_REPEATED or message is None:
        return
    if message.name not in context.inbound or context.validation.bounds_count(proto):
        return
    cel = context.validation.of_message(message.proto)
    name = f"this.{proto.name}"
    if f"{name}.size(" in cel or f"size({name})" in cel:
        return
    short = proto.type_name.rpartition(".")[2]
    entries = (nested for nested in message.proto.nested_type if nested.options.map_entry)
    rule = "map.max_pairs" if short in {entry.name for entry in entries} else "repeated.max_items"
    yield Hit(
        "it may hold any number of entries",
        f"add [(buf.validate.field).{rule} = ...]: what a handler can do within its deadline",
    )


RULE = LintRule(
    id="MP172",
    name="repeated-bounded",
    summary="Repeated fields and maps that callers send have a largest size.",
    why="a request of millions of tiny entries fits into one message and holds a handler for long",
    field=_find,
)
