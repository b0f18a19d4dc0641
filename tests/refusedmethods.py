"""Requests with one fault each, made from the rules of their contracts: for tests of refusals.

A rule that is added to a contract is tried without a change here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message

from buf.validate import validate_pb2

NAMELESS = "a\nb"
"""Text that no pattern of our contracts allows, and that is too much for no length."""


class Wrong(NamedTuple):
    """A request with one fault: where, which rule of protovalidate it breaks, and the request."""

    field: str
    rule: str
    request: Message


def wrongs(good: Message) -> Iterator[Wrong]:
    """Requests like a good one with one fault each, for every rule of every field that is set or
    stands in a message that is."""

    def walk(path: str, reach: tuple[str, ...], kind: Any) -> Iterator[Wrong]:
        for choice in kind.oneofs:
            if choice.GetOptions().Extensions[validate_pb2.oneof].required:
                request = _copy(good)
                first_of(request, reach).ClearField(choice.name)
                yield Wrong(f"{path}{choice.name}", "oneof.required", request)
        for field in kind.fields:
            where, there = f"{path}{field.name}", first_of(good, reach)
            one_of = field.containing_oneof
            if one_of is not None and there.WhichOneof(one_of.name) != field.name:
                continue
            for rule, value in wrong_values(field):
                if _may_be(field, value):
                    continue
                request = _copy(good)
                spoil(first_of(request, reach), field, value)
                yield Wrong(f"{where}[0]" if isinstance(value, list) else where, rule, request)
            deeper = field.message_type
            if deeper is None or deeper.file.package.startswith("google"):
                continue
            if len(getattr(there, field.name)) if field.is_repeated else there.HasField(field.name):
                further = f"{where}[0]." if field.is_repeated else f"{where}."
                yield from walk(further, (*reach, field.name), deeper)

    yield from walk("", (), good.DESCRIPTOR)


def wrong_values(field: FieldDescriptor) -> Iterator[tuple[str, Any]]:
    """Rules of a field, each with a value that breaks it: a list is all that a repeated field has,
    a number how many it has, None takes it out."""
    rules = field.GetOptions().Extensions[validate_pb2.field]
    yield from _wrong_texts(rules.string)
    number = rules.int64 if rules.HasField("int64") else rules.int32
    yield from _wrong_numbers(number)
    if rules.enum.not_in or rules.enum.defined_only:
        yield "enum", 0 if rules.enum.not_in else 99
    if rules.duration.HasField("gte"):
        yield "duration.gte", Duration(seconds=rules.duration.gte.seconds - 1)
    if rules.duration.HasField("lte"):
        yield "duration.lte", Duration(seconds=rules.duration.lte.seconds + 1)
    many, items = rules.repeated, rules.repeated.items
    if many.min_items:
        yield "repeated.min_items", 0
    if many.max_items and not many.unique:
        yield "repeated.max_items", many.max_items + 1
    for rule, value in (*_wrong_texts(items.string), *_wrong_numbers(items.int32)):
        yield f"items.{rule}", [value]
    if items.enum.not_in or getattr(items.enum, "in"):
        yield "items.enum", [0]
    if rules.required:
        yield "required", None


def _may_be(field: FieldDescriptor, value: Any) -> bool:
    """Whether nothing is no fault of a field that says so."""
    ignore = field.GetOptions().Extensions[validate_pb2.field].ignore
    return ignore == validate_pb2.IGNORE_IF_ZERO_VALUE and not value


def _wrong_texts(text: validate_pb2.StringRules) -> Iterator[tuple[str, str]]:
    if text.uuid:
        yield "string.uuid", "1"
    if text.pattern:
        yield "string.pattern", "\0" if "x00" in text.pattern else NAMELESS
    if text.min_len:
        yield "string.min_len", ""
    if text.max_len:
        yield "string.max_len", "x" * (text.max_len + 1)
    if getattr(text, "in"):
        yield "string.in", NAMELESS


def _wrong_numbers(
    number: validate_pb2.Int32Rules | validate_pb2.Int64Rules,
) -> Iterator[tuple[str, int]]:
    if number.HasField("gte"):
        yield "gte", number.gte - 1
    if number.HasField("lte"):
        yield "lte", number.lte + 1


def first_of(message: Any, reach: Sequence[str]) -> Any:
    """The message in a field, the first one of a repeated field, and so on."""
    for name in reach:
        found = getattr(message, name)
        message = found if isinstance(found, Message) else found[0]
    return message


def spoil(message: Any, field: FieldDescriptor, value: Any) -> None:
    """Gives a field a value of `wrong_values`."""
    name = field.name
    if value is None:
        message.ClearField(name)
    elif isinstance(value, list):
        message.ClearField(name)
        getattr(message, name).extend(value)
    elif isinstance(value, Message):
        getattr(message, name).CopyFrom(value)
    elif field.is_repeated:
        kept = list(getattr(message, name))
        message.ClearField(name)
        if field.message_type is None:
            getattr(message, name).extend((kept or ["22423"]) * value)
        else:
            for _ in range(value):
                one = getattr(message, name).add()
                if kept:
                    one.CopyFrom(kept[0])
    else:
        setattr(message, name, value)


def _copy(message: Message) -> Any:
    made = type(message)()
    made.CopyFrom(message)
    return made
