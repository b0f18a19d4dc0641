"""MP153: a call that fails ends with a status; no response says that its call has failed."""

from __future__ import annotations

import re
from typing import Final

from google.protobuf.descriptor_pb2 import FieldDescriptorProto

from meshpact.contracts.lint.model import Context, Hit, Hits, LintRule
from meshpact.contracts.lint.prose import words
from meshpact.contracts.model import Method

FLAGS: Final = frozenset(words("success successful succeeded ok is_ok is_success is_successful"))
"""Names of a bool."""
TEXTS: Final = frozenset(
    words("error error_message error_msg error_reason err err_msg exception stack_trace traceback")
)
"""Names of a string."""
CODES: Final = frozenset(
    words("error_code err_code status_code http_status http_status_code return_code result_code")
)
"""Names of a number, an enum or a string."""

_ASKS: Final = re.compile(r"Verify|Validate|Check|Test")
"""Methods whose very answer is whether something holds."""
_BOOL, _STRING = FieldDescriptorProto.TYPE_BOOL, FieldDescriptorProto.TYPE_STRING
_MESSAGE: Final = (FieldDescriptorProto.TYPE_MESSAGE, FieldDescriptorProto.TYPE_GROUP)


def _find(context: Context, method: Method) -> Hits:
    for field in context.response_of(method).field:
        if field.label == FieldDescriptorProto.LABEL_REPEATED or field.type in _MESSAGE:
            continue
        name = field.name
        if (
            (name in FLAGS and field.type == _BOOL and not _ASKS.search(method.proto.name))
            or (name in TEXTS and field.type == _STRING)
            or name in CODES
        ):
            yield Hit(
                f"its response tells by {name} whether the call has failed",
                "drop the field; declare an error for each way to fail, and end the call with it",
            )


RULE = LintRule(
    id="MP153",
    name="failure-status",
    summary="A call that fails ends with a status (AIP-193): no success or error in a response.",
    why="clients, retries, metrics and audit take a response for a success",
    method=_find,
)
