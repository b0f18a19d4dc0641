"""MP184: points in time are Timestamps, and say so in their names (AIP-142)."""

from __future__ import annotations

import re
from typing import Final

from google.protobuf.descriptor_pb2 import FieldDescriptorProto

from meshpact.contracts.lint.model import Context, Field, Hit, Hits, LintRule
from meshpact.contracts.lint.prose import words

VERBS: Final = {
    **{
        f"{verb}d": verb
        for verb in words(
            "activate archive arrive change close complete create delete expire issue observe "
            "place purchase receive release remove resolve revoke update use"
        )
    },
    **{
        f"{verb}ed": verb
        for verb in words(
            "accept assign confirm deliver end finish happen open order process publish record "
            "refund register request sign start"
        )
    },
    "cancelled": "cancel",
    "canceled": "cancel",
    "modified": "modify",
    "paid": "pay",
    "sent": "send",
    "shipped": "ship",
    "stopped": "stop",
    "submitted": "submit",
    "verified": "verify",
}
"""Verbs in the past tense, with their plain form."""
_TIMESTAMP: Final = ".google.protobuf.Timestamp"
_ENDS: Final = frozenset(words("time times before after until since from to deadline"))
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
    return bool(end) and name.endswith("_at") and stem.rpartition("_")[2] in VERBS


def _named(name: str) -> Hits:
    stem, _, end = name.rpartition("_")
    if name in _WHOLE:
        return
    if end == "at":
        yield Hit(f"{name} is no time by its name", f"name it {_plain(stem)}_time")
    elif end not in _ENDS:
        yield Hit(
            f"{name} does not say that it is a time", "end its name in _time, as in create_time"
        )
    elif end == "time" and stem.rpartition("_")[2] in VERBS:
        yield Hit(f"{name} says when in the past tense", f"name it {_plain(stem)}_time")


def _plain(stem: str) -> str:
    """`last_used` as `last_use`."""
    before, line, verb = stem.rpartition("_")
    return f"{before}{line}{VERBS.get(verb, verb)}"


RULE = LintRule(
    id="MP184",
    name="time-typed",
    summary="Points in time are google.protobuf.Timestamp, named like create_time.",
    why="a number or a text leaves open its unit, its zone and its form; a Timestamp is RFC 3339 "
    "in JSON",
    field=_find,
)
