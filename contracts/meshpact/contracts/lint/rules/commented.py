"""MP161: everything in a contract has a comment."""

from __future__ import annotations

from typing import Final

from google.protobuf.descriptor_pb2 import FieldDescriptorProto

from meshpact.contracts.findings import Severity
from meshpact.contracts.lint.model import (
    Context,
    Enum,
    Field,
    Hit,
    Hits,
    LintRule,
    Message,
    Oneof,
    Value,
)
from meshpact.contracts.model import Method, Service

_REMEDY: Final = "say above it in a sentence what it is, with units and what absence means"


def _find(
    context: Context, thing: Service | Method | Message | Field | Oneof | Enum | Value
) -> Hits:
    file = thing.service.file if isinstance(thing, Method) else thing.file
    if isinstance(thing, Field) and thing.proto.type == FieldDescriptorProto.TYPE_GROUP:
        return  # its comment is that of the message which the group declares
    if not file.locations.comment(thing.path):
        yield Hit("it has no comment", _REMEDY)


RULE = LintRule(
    id="MP161",
    name="commented",
    summary="Services, methods, messages, fields, enums and their values have comments.",
    why="comments become docstrings and documentation: they are all that a caller sees of what is "
    "meant",
    severity=Severity.WARNING,
    service=_find,
    method=_find,
    message=_find,
    field=_find,
    oneof=_find,
    enum=_find,
    value=_find,
)
