"""MP131: a method that changes something can be called again (AIP-155)."""

from __future__ import annotations

from google.protobuf.descriptor_pb2 import FieldDescriptorProto, MethodOptions

from meshpact.contracts.lint.model import Context, Hit, Hits, LintRule
from meshpact.contracts.lint.policies import is_read
from meshpact.contracts.model import Method


def _find(context: Context, method: Method) -> Hits:
    proto = method.proto
    if proto.options.idempotency_level != MethodOptions.IDEMPOTENCY_UNKNOWN or is_read(method):
        return
    if proto.client_streaming and proto.server_streaming:
        return
    request = context.request_of(method)
    found = next((field for field in request.field if field.name == "request_id"), None)
    if found is None:
        yield Hit(
            "it is not idempotent, and its request has no request_id",
            "add string request_id to the request (AIP-155) and option idempotency_level = "
            "IDEMPOTENT; or make a second call harmless in another way and say IDEMPOTENT",
        )
    elif found.type != FieldDescriptorProto.TYPE_STRING:
        yield Hit(
            "the request_id of its request is no string",
            "make it a string that holds a UUID (AIP-155)",
        )


RULE = LintRule(
    id="MP131",
    name="mutation-repeatable",
    summary="A method that changes something is idempotent or takes a request_id (AIP-155).",
    why="a caller whose connection broke cannot know whether the call went through, and can only "
    "try again",
    method=_find,
)
