"""MP134: a request_id is a UUID (AIP-155)."""

from __future__ import annotations

from google.protobuf.descriptor_pb2 import FieldDescriptorProto

from meshpact.contracts.lint.model import Context, Field, Hit, Hits, LintRule


def _find(context: Context, field: Field) -> Hits:
    proto = field.proto
    if proto.name != "request_id" or field.message is None:
        return
    if field.message.name not in context.inbound:
        return
    if proto.type != FieldDescriptorProto.TYPE_STRING:
        return  # MP131 says so
    if not context.validation.is_uuid(proto):
        yield Hit(
            "a request_id of any text is taken",
            "write [(buf.validate.field).string.uuid = true]",
        )


RULE = LintRule(
    id="MP134",
    name="request-id-uuid",
    summary="A request_id that callers send is a UUID (AIP-155).",
    why="IDs that people make up meet each other: one caller then gets the answer to another's "
    "call",
    field=_find,
)
