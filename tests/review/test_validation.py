"""What a change of rules means, held against protovalidate itself on real values."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import protovalidate
import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

from meshpact.contracts.image import compile_image
from meshpact.contracts.review.run import Question, review
from meshpact.contracts.review.settings import Settings
from meshpact.contracts.review.sides import Asked
from review.reviews import HEAD, write

TIGHTER: Final = "validation-tightened"
LOOSER: Final = "validation-loosened"
UNCLEAR: Final = "validation-unclear"


@dataclass(frozen=True)
class Field:
    """A field with several sets of rules, each to be changed into each other, and values that tell
    them apart; None: the field is absent."""

    name: str
    type: str
    rules: Sequence[str]
    values: Sequence[Any]


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


def _proto(index: Callable[[Sequence[str]], Iterator[str]]) -> str:
    """A contract with a message for each change of each field."""
    lines = [
        HEAD,
        "enum Kind { KIND_UNSPECIFIED = 0; KIND_ONE = 1; KIND_TWO = 2; }",
        "service Shop { option (meshpact.policy.v1.service) = {",
        'access: {roles: "r"} deadline: {default: {seconds: 1}} audit: {level: AUDIT_LEVEL_NONE}',
        "};",
    ]
    messages: list[str] = []
    for field in FIELDS:
        for number, rules in enumerate(index(field.rules)):
            name = f"{field.name.title().replace('_', '')}{number}"
            options = f" [(buf.validate.field).{rules}]" if rules else ""
            lines.append(f"rpc Do{name}({name}) returns ({name});")
            messages.append(f"message {name} {{ {field.type} value = 1{options}; }}")
    return "\n".join([*lines, "}", *messages])


def _pairs(rules: Sequence[str]) -> list[tuple[str, str]]:
    return list(itertools.product(rules, rules))


def _side(index: int) -> Callable[[Sequence[str]], Iterator[str]]:
    return lambda rules: (pair[index] for pair in _pairs(rules))


@dataclass(frozen=True)
class Side:
    """The contracts of one side, and a validator that knows no other types of these names."""

    pool: DescriptorPool
    validator: protovalidate.Validator


def _accepts(side: Side, name: str, field: Field, value: Any) -> bool:
    message: Any = GetMessageClass(side.pool.FindMessageTypeByName(f"shop.v1.{name}"))()
    if value is None:
        pass
    elif field.type.startswith("repeated"):
        message.value.extend(value)
    elif field.type.startswith("map"):
        message.value.update(dict(value))
    elif field.type.endswith("Duration"):
        message.value.seconds = value
        message.value.SetInParent()
    elif field.type.endswith("Value"):
        message.value.value = value
        message.value.SetInParent()
    else:
        message.value = value
    return not side.validator.collect_violations(message)


def _read(root: Path) -> Side:
    pool = DescriptorPool()
    for file in FileDescriptorSet(file=compile_image([root]).files).file:
        pool.AddSerializedFile(file.SerializeToString())
    return Side(pool, protovalidate.Validator())


@dataclass(frozen=True)
class Compared:
    """Both sides, and what the review found of each message's field."""

    sides: tuple[Side, Side]
    found: dict[str, set[str]]


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> Compared:
    folder = tmp_path_factory.mktemp("rules")
    sides = [write(folder / str(index), _proto(_side(index))) for index in (0, 1)]
    found: dict[str, set[str]] = {}
    for change in review(Question(str(sides[0]), Asked([sides[1]])), Settings(), {}).changes:
        name = change.subject.removeprefix("shop.v1.").removesuffix(".value")
        found.setdefault(name, set()).add(change.delta.rule)
    return Compared((_read(sides[0]), _read(sides[1])), found)


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: field.name)
def test_what_is_announced_is_what_protovalidate_decides_anew(
    compared: Compared, field: Field
) -> None:
    wrong: list[str] = []
    for number, pair in enumerate(_pairs(field.rules)):
        name = f"{field.name.title().replace('_', '')}{number}"
        before, after = (
            [_accepts(side, name, field, value) for value in field.values]
            for side in compared.sides
        )
        expected = set[str]()
        if any(one and not two for one, two in zip(before, after, strict=True)):
            expected.add(TIGHTER)
        if any(two and not one for one, two in zip(before, after, strict=True)):
            expected.add(LOOSER)
        found = compared.found.get(name, set())
        if found != expected:
            wrong.append(f"{pair}: found {found}, decided anew {expected}")
    assert not wrong, "\n".join(wrong)


UNDECIDABLE: Final = (
    ("string", "string.pattern = '^a+$'", "string.pattern = '^[ab]+$'"),
    ("string", "cel = {id: 'a' expression: 'this > \"\"'}", "cel = {id: 'a' expression: 'true'}"),
    (
        "google.protobuf.Timestamp",
        "timestamp.within = {seconds: 1}",
        "timestamp.within = {seconds: 2}",
    ),
    ("string", "string.email = true", "string.hostname = true"),
)
OPAQUE: Final = (
    ("string", "", "string.pattern = '^a+$'", {TIGHTER}),
    ("string", "string.uuid = true", "", {LOOSER}),
    ("string", "string.pattern = '^a+$'", "string = {pattern: '^a+$' max_len: 9}", {TIGHTER}),
    ("string", "", "cel = {id: 'a' expression: 'this > \"\"'}", {TIGHTER}),
    ("google.protobuf.Timestamp", "timestamp.lt_now = true", "", {LOOSER}),
    ("google.protobuf.Any", "", "any = {in: ['a']}", {TIGHTER}),
    ("google.protobuf.Any", "any = {in: ['a', 'b']}", "any = {in: ['b', 'c']}", {TIGHTER, LOOSER}),
    ("google.protobuf.FieldMask", "field_mask = {not_in: ['a']}", "", {LOOSER}),
    ("string", "string.example = 'a'", "string.example = 'b'", set[str]()),
)


def _found(folder: Path, type_: str, old: str, new: str) -> dict[str, str]:
    for side, rules in (("old", old), ("new", new)):
        options = f" [(buf.validate.field).{rules}]" if rules else ""
        text = (
            f"{HEAD}service Shop {{ option (meshpact.policy.v1.service) = {{"
            'access: {roles: "r"} deadline: {default: {seconds: 1}}'
            " audit: {level: AUDIT_LEVEL_NONE} };"
            "rpc Do(Ask) returns (Told); }\n"
            f"message Ask {{ {type_} value = 1{options}; }}\nmessage Told {{}}\n"
        )
        write(folder / side, text)
    found = review(Question(str(folder / "old"), Asked([folder / "new"])), Settings(), {})
    return {change.delta.rule: change.delta.message for change in found.changes}


@pytest.mark.parametrize(("type_", "old", "new"), UNDECIDABLE)
def test_what_cannot_be_decided_is_told_with_both_texts(
    tmp_path: Path, type_: str, old: str, new: str
) -> None:
    found = _found(tmp_path, type_, old, new)
    assert set(found) == {UNCLEAR}
    message = found[UNCLEAR]
    assert message.startswith("cannot tell")
    assert "before: " in message


@pytest.mark.parametrize(("type_", "old", "new", "rules"), OPAQUE)
def test_a_rule_that_comes_or_goes_is_decided_whatever_it_says(
    tmp_path: Path, type_: str, old: str, new: str, rules: set[str]
) -> None:
    assert set(_found(tmp_path, type_, old, new)) == rules


SHAPES: Final = (
    (
        "a new field that must be there",
        "message Ask { string a = 1; }",
        "message Ask { string a = 1; string b = 2 [(buf.validate.field).required = true]; }",
        {TIGHTER},
    ),
    (
        "a new field whose empty value is refused",
        "message Ask { string a = 1; }",
        "message Ask { string a = 1; string b = 2 [(buf.validate.field).string.min_len = 1]; }",
        {TIGHTER},
    ),
    (
        "a new field that may be left out",
        "message Ask { string a = 1; }",
        "message Ask { string a = 1; string b = 2 [(buf.validate.field).string.max_len = 1]; }",
        set[str](),
    ),
    (
        "a rule on the message",
        "message Ask { string a = 1; }",
        "message Ask { option (buf.validate.message).cel = {id: 'x' expression: 'true'};"
        " string a = 1; }",
        {TIGHTER},
    ),
    (
        "a oneof that must be set",
        "message Ask { oneof what { string a = 1; string b = 2; } }",
        "message Ask { oneof what { option (buf.validate.oneof).required = true;"
        " string a = 1; string b = 2; } }",
        {TIGHTER},
    ),
    (
        "a field deep inside",
        "message Ask { repeated Part parts = 1; } message Part { string a = 1; }",
        "message Ask { repeated Part parts = 1; }"
        " message Part { string a = 1 [(buf.validate.field).string.max_len = 3]; }",
        {TIGHTER},
    ),
)


@pytest.mark.parametrize(("what", "old", "new", "rules"), SHAPES, ids=[each[0] for each in SHAPES])
def test_messages_are_compared_whole(
    tmp_path: Path, what: str, old: str, new: str, rules: set[str]
) -> None:
    service = (
        'service Shop { option (meshpact.policy.v1.service) = {access: {roles: "r"}'
        " deadline: {default: {seconds: 1}} audit: {level: AUDIT_LEVEL_NONE} };"
        " rpc Do(Ask) returns (Told); }\nmessage Told {}\n"
    )
    for side, text in (("old", old), ("new", new)):
        write(tmp_path / side, f"{HEAD}{service}{text}\n")
    found = review(Question(str(tmp_path / "old"), Asked([tmp_path / "new"])), Settings(), {})
    assert {change.delta.rule for change in found.changes} == rules


def test_rules_that_no_request_meets_are_a_note(tmp_path: Path) -> None:
    for side, limit in (("old", 9), ("new", 3)):
        rule = f"(buf.validate.field).string.max_len = {limit}"
        write(tmp_path / side, f"{HEAD}message Alone {{ string a = 1 [{rule}]; }}")
    (change,) = review(
        Question(str(tmp_path / "old"), Asked([tmp_path / "new"])), Settings(), {}
    ).changes
    assert change.delta.impact.value == "note"
    assert "in no request" in change.delta.message
