"""Whether a text matches a pattern, by protovalidate: what judges requests in the end, and in time
that grows with the text alone, whatever the pattern is."""

from __future__ import annotations

from functools import cache
from typing import Any, Final

import protovalidate
from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

from meshpact.contracts.review.fieldrules import message_options

_RULE: Final = "this.text.matches(this.pattern)"


def matches(pattern: str, text: str) -> bool:
    """Whether a text, or a part of it, matches; False too for a pattern that is none in RE2."""
    validator, make = _probe()
    try:
        return not validator.collect_violations(make(pattern=pattern, text=text))
    except (protovalidate.CompilationError, protovalidate.EvaluationError):
        return False


@cache
def _probe() -> tuple[protovalidate.Validator, Any]:
    """A validator, and a message with both that is valid where they match."""
    file = FileDescriptorProto(name="probe.proto", package="probe", syntax="proto3")
    message = file.message_type.add(name="Probe", options=message_options(_RULE))
    for number, name in enumerate(("text", "pattern"), 1):
        message.field.add(
            name=name,
            number=number,
            label=FieldDescriptorProto.LABEL_OPTIONAL,
            type=FieldDescriptorProto.TYPE_STRING,
        )
    pool = DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    return protovalidate.Validator(), GetMessageClass(pool.FindMessageTypeByName("probe.Probe"))
