"""MP141: a List method has pages (AIP-158)."""

from __future__ import annotations

import re
from typing import Final

from google.protobuf.descriptor_pb2 import FieldDescriptorProto

from meshpact.contracts.lint.model import Context, Hit, Hits, LintRule
from meshpact.contracts.model import Method

_LIST: Final = re.compile(r"(?:List|Search)(?=[A-Z0-9]|$)")


def lists(context: Context, method: Method) -> bool:
    """Whether a method answers with a list that needs pages."""
    proto = method.proto
    if proto.server_streaming or proto.client_streaming or not _LIST.match(proto.name):
        return False
    repeated = FieldDescriptorProto.LABEL_REPEATED
    return any(field.label == repeated for field in context.response_of(method).field)


def _find(context: Context, method: Method) -> Hits:
    if lists(context, method) and not method.policy.HasField("pagination"):
        yield Hit(
            "it lists without pages",
            "add int32 page_size and string page_token to the request, string next_page_token to "
            "the response, and pagination: { default_size: 50 max_size: 500 } to the policy",
        )


RULE = LintRule(
    id="MP141",
    name="list-paged",
    summary="List and Search methods have pages (AIP-158).",
    why="a list grows; without pages it one day exceeds the size of a message or the deadline, and "
    "pages cannot be added later without breaking callers",
    method=_find,
)
