"""MP144: masks of fields are FieldMasks (AIP-134, AIP-157, AIP-161)."""

from __future__ import annotations

from typing import Final

from google.protobuf.descriptor_pb2 import FieldDescriptorProto

from meshpact.contracts.lint.model import Context, Field, Hit, Hits, LintRule

_NAMES: Final = frozenset(("update_mask", "read_mask", "field_mask"))
_MASK: Final = ".google.protobuf.FieldMask"


def _find(context: Context, field: Field) -> Hits:
    proto = field.proto
    repeated = proto.label == FieldDescriptorProto.LABEL_REPEATED
    if proto.name in _NAMES and (proto.type_name != _MASK or repeated):
        yield Hit(
            f"{proto.name} is no google.protobuf.FieldMask", "make it a google.protobuf.FieldMask"
        )


RULE = LintRule(
    id="MP144",
    name="mask-typed",
    summary="update_mask and read_mask are google.protobuf.FieldMask (AIP-134, AIP-157).",
    why="only a FieldMask is a list of names in lowerCamelCase in JSON, and known to helpers",
    field=_find,
)
