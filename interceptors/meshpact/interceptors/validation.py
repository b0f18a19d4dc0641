"""Field rules of a contract (`buf.validate`), checked by protovalidate and told in words."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

import protovalidate
from google.protobuf.descriptor import Descriptor
from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.protobuf.unknown_fields import UnknownFieldSet
from protovalidate import Violation

from meshpact.interceptors.errors import FieldViolation, StatusError, invalid_request
from meshpact.interceptors.rules import compile_rules

MAX_VIOLATIONS: Final = 16
"""Faults told of one request; trailing metadata must stay small."""

_EXTENSION: Final = 1159
"""Field number of buf.validate's options, the same on messages, oneofs and fields."""

_validator: Final = protovalidate.Validator()

Check = Callable[[Message], "StatusError | None"]


def compile_validation(descriptor: Descriptor) -> Check | None:
    """The check of one message type; None when neither it nor a message in it has rules.

    Raises protovalidate.CompilationError when a rule does not fit its field.
    """
    if not _has_rules(descriptor, set()):
        return None
    _validator.collect_violations(GetMessageClass(descriptor)(), fail_fast=True)
    collect = _validator.collect_violations
    holds = compile_rules(descriptor)

    def check(message: Message) -> StatusError | None:
        if holds is not None and holds(message):
            return None
        try:
            found = collect(message)
        except protovalidate.EvaluationError:
            return invalid_request([FieldViolation("", "cannot be evaluated", "RULE_FAILED")])
        return invalid_request([_told(v) for v in found[:MAX_VIOLATIONS]]) if found else None

    return check


def _told(violation: Violation) -> FieldViolation:
    proto = violation.proto
    path = _path(violation)
    rule = proto.rule_id or ""
    text = proto.message or "is not valid"
    if rule == "required":
        kind = "one of the fields" if text.startswith("exactly one") else "required field"
        return FieldViolation(path, f"missing {kind} '{path}'", "REQUIRED")
    return FieldViolation(path, _WORDS.get(rule, _plain)(text), _reason(rule))


def _plain(text: str) -> str:
    return text.removeprefix("value ")


_WORDS: Final[dict[str, Callable[[str], str]]] = {
    "enum.defined_only": lambda _: "must be one of the values that the contract defines",
    "repeated.unique": lambda _: "must not hold the same item twice",
    "string.min_len": lambda text: _counted(text, "character"),
    "string.max_len": lambda text: _counted(text, "character"),
    "string.len": lambda text: _counted(text, "character"),
    "repeated.min_items": lambda text: _counted(text, "item"),
    "repeated.max_items": lambda text: _counted(text, "item"),
}


def _counted(text: str, noun: str) -> str:
    text = text.replace(f"{noun}(s)", noun).replace(f"{noun}s", noun)
    return text if f" 1 {noun}" in text else text.replace(noun, f"{noun}s")


def _reason(rule: str) -> str:
    return rule.upper().replace(".", "_").replace("-", "_").strip("_")[:63] or "INVALID"


def _path(violation: Violation) -> str:
    field = violation.proto.field
    if field is None:
        return ""
    parts: list[str] = []
    for element in field.elements:
        name = element.field_name
        subscript = element.subscript
        if subscript is not None:
            key = subscript.value
            name += f'["{key}"]' if isinstance(key, str) else f"[{str(key).lower()}]"
        parts.append(name)
    return ".".join(parts)


def _has_rules(descriptor: Descriptor, seen: set[str]) -> bool:
    if descriptor.full_name in seen:
        return False
    seen.add(descriptor.full_name)
    if any(_extended(options) for options in _options(descriptor)):
        return True
    return any(
        field.message_type is not None and _has_rules(field.message_type, seen)
        for field in descriptor.fields
    )


def _options(descriptor: Descriptor) -> Iterator[Message]:
    yield descriptor.GetOptions()
    for oneof in descriptor.oneofs:
        yield oneof.GetOptions()
    for field in descriptor.fields:
        yield field.GetOptions()


def _extended(options: Message) -> bool:
    unknown = UnknownFieldSet(Empty.FromString(options.SerializeToString()))
    return any(unknown[i].field_number == _EXTENSION for i in range(len(unknown)))
