"""Examples that break a rule, mended by trying: protovalidate says where, and what helped."""

from __future__ import annotations

from typing import Any, Final

import protovalidate
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from protovalidate import Violation

_ROUNDS: Final = 8
_NUMBERS: Final = (0, 1, 2, 3, 4, 5, 7, 10, 12, 50, 100, 1000, -1, -2, -10)
_TEXTS: Final = (
    "",
    "a",
    "A",
    "abc",
    "ABC",
    "1",
    "123",
    "example",
    "a1",
    "example.com",
    "https://example.com/",
    "2025-06-01",
)


def mend(validator: protovalidate.Validator, message: Message) -> bool:
    """Change single fields until no rule is broken; whether that was reached."""
    try:
        broken = validator.collect_violations(message)
        for _ in range(_ROUNDS):
            if not broken:
                return True
            left = _try(validator, message, broken)
            if left is None:
                return False
            broken = left
    except (protovalidate.CompilationError, protovalidate.EvaluationError):
        return False
    return not broken


def _try(
    validator: protovalidate.Validator, message: Message, broken: list[Violation]
) -> list[Violation] | None:
    """The rules that are broken still, after the first change that helped; None: none did."""
    for violation in broken:
        owner, field = _place(message, violation)
        if owner is None or field is None:
            continue
        before = getattr(owner, field.name)
        for value in _candidates(field):
            try:
                setattr(owner, field.name, value)
            except (TypeError, ValueError):
                continue
            left = validator.collect_violations(message)
            if len(left) < len(broken):
                return left
        setattr(owner, field.name, before)
    return None


def _candidates(field: FieldDescriptor) -> tuple[Any, ...]:
    kind = field.cpp_type
    if kind == FieldDescriptor.CPPTYPE_ENUM:
        assert field.enum_type is not None
        return tuple(value.number for value in field.enum_type.values)
    if kind == FieldDescriptor.CPPTYPE_BOOL:
        return (False, True)
    if kind == FieldDescriptor.CPPTYPE_STRING:
        if field.type == FieldDescriptor.TYPE_BYTES:
            return tuple(text.encode() for text in _TEXTS)
        return _TEXTS
    return _NUMBERS


def _place(message: Message, violation: Violation) -> tuple[Message | None, FieldDescriptor | None]:
    """The message and the single field that a violation is about; None where it is no such."""
    path = violation.proto.field
    if path is None or not path.elements:
        return None, None
    current: Any = message
    for element in path.elements[:-1]:
        current = getattr(current, element.field_name)
        subscript = element.subscript
        if subscript is not None:
            current = current[subscript.value]
    found = current.DESCRIPTOR.fields_by_name.get(path.elements[-1].field_name)
    if found is None or found.is_repeated or found.message_type is not None:
        return None, None
    return current, found
