"""MP191: repeated fields are named in the plural (AIP-140)."""

from __future__ import annotations

from typing import Final

from google.protobuf.descriptor_pb2 import FieldDescriptorProto

from meshpact.contracts.lint.model import Context, Field, Hit, Hits, LintRule
from meshpact.contracts.lint.plurals import may_be_plural

_VECTORS: Final = (FieldDescriptorProto.TYPE_FLOAT, FieldDescriptorProto.TYPE_DOUBLE)
"""What is one thing of many numbers: `embedding`."""


def _find(context: Context, field: Field) -> Hits:
    proto = field.proto
    if proto.label != FieldDescriptorProto.LABEL_REPEATED or proto.type in _VECTORS:
        return
    if field.message is None or _is_map(context, proto) or may_be_plural(proto.name):
        return
    yield Hit(f"{proto.name} holds several and is named in the singular", "name it in the plural")


def _is_map(context: Context, proto: FieldDescriptorProto) -> bool:
    if proto.type != FieldDescriptorProto.TYPE_MESSAGE:
        return False
    return context.contracts.messages[proto.type_name][1].options.map_entry


RULE = LintRule(
    id="MP191",
    name="repeated-plural",
    summary="Repeated fields are named in the plural (AIP-140).",
    why="a name that says one where there are many misleads every reader of code and JSON",
    field=_find,
)
