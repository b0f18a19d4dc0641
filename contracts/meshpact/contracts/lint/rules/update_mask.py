"""MP142: an Update method takes a mask of the fields that it changes (AIP-134)."""

from __future__ import annotations

import re
from typing import Final

from google.protobuf.descriptor_pb2 import FieldDescriptorProto

from meshpact.contracts.findings import Severity
from meshpact.contracts.lint.model import Context, Hit, Hits, LintRule
from meshpact.contracts.model import Method

_UPDATE: Final = re.compile(r"Update(?=[A-Z0-9]|$)")
_MASK: Final = ".google.protobuf.FieldMask"


def _find(context: Context, method: Method) -> Hits:
    if not _UPDATE.match(method.proto.name) or method.proto.client_streaming:
        return
    request = context.request_of(method)
    if not any(field.type == FieldDescriptorProto.TYPE_MESSAGE for field in request.field):
        return
    mask = next((field for field in request.field if field.name == "update_mask"), None)
    if mask is None:
        yield Hit(
            f"{request.name} has no update_mask",
            "add google.protobuf.FieldMask update_mask, and change only the fields that it lists",
        )
    elif mask.type_name != _MASK or mask.label == FieldDescriptorProto.LABEL_REPEATED:
        yield Hit(
            f"the update_mask of {request.name} is no google.protobuf.FieldMask",
            "make it a google.protobuf.FieldMask",
        )


RULE = LintRule(
    id="MP142",
    name="update-mask",
    summary="Update methods that take a message take an update_mask too (AIP-134).",
    why="without a mask a caller that knows an older contract wipes the fields that it does not "
    "know",
    severity=Severity.WARNING,
    method=_find,
)
