"""MP171: strings and bytes that callers send have a longest form."""

from __future__ import annotations

from typing import Final

from google.protobuf.descriptor_pb2 import FieldDescriptorProto

from meshpact.contracts.lint.model import Context, Field, Hit, Hits, LintRule

_TEXTS: Final = {
    FieldDescriptorProto.TYPE_STRING: "string",
    FieldDescriptorProto.TYPE_BYTES: "bytes",
}


def _find(context: Context, field: Field) -> Hits:
    proto = field.proto
    message = field.message
    if message is None or message.name not in context.inbound:
        return
    if entry := _map_entry(field):
        for part, inner in zip(("keys", "values"), entry, strict=True):
            kind = _TEXTS.get(inner.type)
            if kind and not context.validation.bounds_pairs(proto, part):
                yield Hit(
                    f"its {part} may be of any length",
                    f"add map.{part}.{kind}.max_len to its (buf.validate.field)",
                )
        return
    kind = _TEXTS.get(proto.type)
    if kind is None or context.validation.bounds_length(proto):
        return
    if _bounded_above(context, field):
        return
    if proto.label == FieldDescriptorProto.LABEL_REPEATED:
        yield Hit(
            "each of its texts may be of any length",
            f"add repeated.items.{kind}.max_len to its (buf.validate.field)",
        )
    else:
        yield Hit(
            "it may be of any length",
            f"add [(buf.validate.field).{kind}.max_len = ...], or a format such as uuid, or a "
            "pattern from ^ to $ without * and +",
        )


def _map_entry(field: Field) -> tuple[FieldDescriptorProto, FieldDescriptorProto] | None:
    if field.message is None or field.proto.type != FieldDescriptorProto.TYPE_MESSAGE:
        return None
    short = field.proto.type_name.rpartition(".")[2]
    for nested in field.message.proto.nested_type:
        if nested.options.map_entry and nested.name == short:
            return nested.field[0], nested.field[1]
    return None


def _bounded_above(context: Context, field: Field) -> bool:
    """Whether a rule on the message speaks of the field's size."""
    assert field.message is not None
    cel = context.validation.of_message(field.message.proto)
    name = f"this.{field.proto.name}"
    return f"{name}.size(" in cel or f"size({name})" in cel


RULE = LintRule(
    id="MP171",
    name="text-bounded",
    summary="Strings and bytes that callers send have a longest form.",
    why="what is not bounded here goes on to logs, indexes and databases as long as a caller likes",
    field=_find,
)
