"""Fields with sets of rules that are changed into each other, and values that tell them apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final


@dataclass(frozen=True)
class Field:
    """A field with several sets of rules, each to be changed into each other, and values that tell
    them apart; None: the field is absent."""

    name: str
    type: str
    rules: Sequence[str]
    values: Sequence[Any]


def assign(message: Any, name: str, type_: str, value: Any) -> None:
    """Sets a field of a type to a value of `Field.values`."""
    if value is None:
        return
    held = getattr(message, name)
    if type_.startswith("repeated"):
        held.extend(value)
    elif type_.startswith("map"):
        held.update(dict(value))
    elif type_.endswith("Duration"):
        held.seconds = value
        held.SetInParent()
    elif type_.endswith("Value"):
        held.value = value
        held.SetInParent()
    else:
        setattr(message, name, value)


_NUMBERS: Final = (0, 1, -1, 4, 5, 6, 9, 10, 11, 2**31 - 1, -(2**31))
_TEXTS: Final = (
    "",
    "a",
    "ab",
    "abc",
    "b",
    "\u00e9",
    "\u00e9\u00e9",
    "x" * 10,
    "x" * 11,
    "axb",
    "xb",
)
_LONGER: Final = ("a" * 10, "a" * 11, "y" * 11, "y" * 10, "yy", "yyy", "y", "\u2603", "\U0001f600")

FIELDS: Final = (
    Field(
        "numbers",
        "int32",
        (
            "",
            "int32.gte = 5",
            "int32.gt = 4",
            "int32 = {gte: 5 lte: 10}",
            "int32 = {gt: 4 lt: 11}",
            "int32 = {gt: 10 lt: 5}",
            "int32.lte = 10",
            "int32 = {in: [1, 5]}",
            "int32 = {in: [5, 1, 10]}",
            "int32.const = 5",
            "int32 = {not_in: [5]}",
            "int32 = {not_in: [5, 6]}",
            "int32 = {in: [1, 5] gte: 5}",
            "required = true",
            "ignore = IGNORE_IF_ZERO_VALUE, (buf.validate.field).int32.gte = 5",
            "ignore = IGNORE_ALWAYS, (buf.validate.field).int32.gte = 5",
        ),
        _NUMBERS,
    ),
    Field(
        "optional_numbers",
        "optional int32",
        (
            "",
            "int32.gte = 5",
            "required = true",
            "required = true, (buf.validate.field).int32.gte = 5",
        ),
        (None, *_NUMBERS),
    ),
    Field(
        "doubles",
        "double",
        (
            "",
            "double.gt = 0.5",
            "double.gte = 0.5",
            "double.finite = true",
            "double = {gt: 0 lt: 1}",
        ),
        (0.0, 0.25, 0.5, 0.75, 1.0, -1.0, float("inf"), float("-inf"), float("nan")),
    ),
    Field(
        "texts",
        "string",
        (
            "",
            "string.min_len = 1",
            "required = true",
            "string.max_len = 10",
            "string = {min_len: 1 max_len: 10}",
            "string.len = 2",
            "string = {min_len: 2 max_len: 2}",
            "string.max_bytes = 2",
            "string.prefix = 'a'",
            "string = {in: ['a', 'b']}",
            "string = {in: ['b', 'a', 'abc']}",
            "string = {in: ['a', 'b', 'abc'] max_len: 1}",
            "string.const = 'a'",
            "string = {not_in: ['a']}",
            "string.not_contains = 'x'",
            "ignore = IGNORE_IF_ZERO_VALUE, (buf.validate.field).string.min_len = 2",
        ),
        (*_TEXTS, *_LONGER),
    ),
    Field(
        "octets",
        "bytes",
        ("", "bytes.min_len = 1", "bytes.len = 2", "bytes.prefix = 'a'", "required = true"),
        (b"", b"a", b"b", b"ab", b"bb", b"abc"),
    ),
    Field(
        "lists",
        "repeated string",
        (
            "",
            "repeated.min_items = 1",
            "required = true",
            "repeated.max_items = 2",
            "repeated.unique = true",
            "repeated.items.string.min_len = 1",
            "repeated = {max_items: 2 items: {string: {min_len: 2}}}",
        ),
        ((), ("",), ("a",), ("aa",), ("aa", "aa"), ("aa", "bb"), ("aa", "bb", "cc"), ("a", "b")),
    ),
    Field(
        "maps",
        "map<string, int32>",
        (
            "",
            "map.min_pairs = 1",
            "map.max_pairs = 1",
            "map.keys.string.min_len = 1",
            "map.values.int32.gte = 5",
        ),
        ((), (("", 5),), (("a", 0),), (("a", 5),), (("a", 5), ("b", 5))),
    ),
    Field(
        "kinds",
        "Kind",
        (
            "",
            "enum.defined_only = true",
            "enum = {in: [1]}",
            "enum = {not_in: [0]}",
            "required = true",
        ),
        (0, 1, 2, 7),
    ),
    Field("flags", "bool", ("", "bool.const = true", "required = true"), (False, True)),
    Field(
        "spans",
        "google.protobuf.Duration",
        (
            "",
            "required = true",
            "duration.gt = {}",
            "duration.gte = {seconds: 5}",
            "duration = {gte: {seconds: 5} lt: {seconds: 10}}",
        ),
        (None, 0, 1, 5, 9, 10, -1),
    ),
    Field(
        "wrapped",
        "google.protobuf.Int32Value",
        ("", "int32.gte = 5", "required = true"),
        (None, 0, 5),
    ),
)
