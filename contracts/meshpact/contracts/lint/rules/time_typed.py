"""MP184: points in time are Timestamps, and say so in their names (AIP-142)."""

from __future__ import annotations

import re
from typing import Final

from google.protobuf.descriptor_pb2 import FieldDescriptorProto

from meshpact.contracts.lint.model import Context, Field, Hit, Hits, LintRule
from meshpact.contracts.lint.prose import words

PARTICIPLES: Final = frozenset(
    words(
        "accepted activated archived arrived assigned cancelled canceled changed closed completed "
        "confirmed created deleted delivered ended expired finished happened issued modified "
        "observed opened ordered paid placed processed published purchased received recorded "
        "refunded registered released removed requested resolved revoked sent shipped "
        "signed started stopped submitted updated used verified"
    )
)
_TIMESTAMP: Final = ".google.protobuf.Timestamp"
_ENDS: Final = frozenset(words("time times at before after until since from to deadline"))
"""Last words that say that a Timestamp is one."""
_LENGTH: Final = re.compile(r"(?:^|_)(?:since|days|hours|minutes|seconds|millis|micros|nanos)_")
_MARKED: Final = ("_timestamp", "_timestamps", "_datetime", "_unix", "_epoch")
_WHOLE: Final = frozenset(words("time times timestamp datetime"))
_TEXT: Final = (
    FieldDescriptorProto.TYPE_STRING,
    FieldDescriptorProto.TYPE_INT32,
    FieldDescriptorProto.TYPE_INT64,
    FieldDescriptorProto.TYPE_UINT32,
    FieldDescriptorProto.TYPE_UINT64,
    FieldDescriptorProto.TYPE_SINT64,
    FieldDescriptorProto.TYPE_FIXED64,
    FieldDescriptorProto.TYPE_SFIXED64,
    FieldDescriptorProto.TYPE_DOUBLE,
    FieldDescriptorProto.TYPE_FLOAT,
)


def _find(context: Context, field: Field) -> Hits:
    proto = field.proto
    name = proto.name
    if proto.type == FieldDescriptorProto.TYPE_MESSAGE:
        if proto.type_name == _TIMESTAMP:
            yield from _named(name)
    elif proto.type in _TEXT and _is_time(name):
        yield Hit(
            f"{name} is a time and no google.protobuf.Timestamp",
            "make it a google.protobuf.Timestamp; a length of time is a google.protobuf.Duration, "
            "a day of the calendar a google.type.Date",
        )


def _is_time(name: str) -> bool:
    if _LENGTH.search(name):
        return False
    if name in _WHOLE or name.endswith(("_time", "_times", *_MARKED)):
        return True
    stem, end, _ = name.rpartition("_at")
    return bool(end) and name.endswith("_at") and stem.rpartition("_")[2] in PARTICIPLES


def _named(name: str) -> Hits:
    if name not in _WHOLE and name.rpartition("_")[2] not in _ENDS:
        yield Hit(
            f"{name} does not say that it is a time", "end its name in _time, as in create_time"
        )
    elif name.endswith("_time") and name.split("_")[-2] in PARTICIPLES:
        yield Hit(
            f"{name} says when in the past tense", "take the verb's plain form, as in create_time"
        )


RULE = LintRule(
    id="MP184",
    name="time-typed",
    summary="Points in time are google.protobuf.Timestamp, named create_time or created_at.",
    why="a number or a text leaves open its unit, its zone and its form; a Timestamp is RFC 3339 "
    "in JSON",
    field=_find,
)
