"""What a change of rules means, held against protovalidate itself on real values."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import protovalidate
import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from hypothesis import given, settings
from hypothesis import strategies as st

from meshpact.contracts.image import compile_image
from meshpact.contracts.review.patternwidth import width
from meshpact.contracts.review.run import Question, review
from meshpact.contracts.review.settings import Settings
from meshpact.contracts.review.sides import Asked
from review.reviews import HEAD, write
from review.rulechanges import FIELDS, Field, assign

TIGHTER: Final = "validation-tightened"
LOOSER: Final = "validation-loosened"
UNCLEAR: Final = "validation-unclear"
PATTERNS: Final = re.compile(
    r"\^?(([ab.]|\[a-c]\]|\[\^x\]|\\d|\((\?:)?[ab]{1,2}(\|[ab]{0,3})?\))([*+?]|\{[0-2](,[3-4]?)?\})?"
    r"\|?){1,4}\$?"
)
"""What patterns are made of."""


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
    assign(message, "value", field.type, value)
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
    ("string", "", "string.pattern = '.*'"),
    ("string", "string.pattern = '(?i)^ab$'", "string = {pattern: '(?i)^ab$' min_len: 2}"),
    ("string", "string.prefix = 'ab'", "string.pattern = '^ab'"),
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
    ("string", "string.email = true", "string.hostname = true", {TIGHTER, LOOSER}),
    ("string", "string.pattern = '^a+$'", "string.pattern = '^b+$'", {TIGHTER, LOOSER}),
    ("string", "string.pattern = '^a+$'", "required = true", {LOOSER}),
    ("bytes", "bytes.pattern = '^a+$'", "bytes = {pattern: '^a+$' max_len: 3}", {TIGHTER}),
)
_SKU: Final = "pattern: '^[0-9A-Za-z]{1,20}$'"
IMPLIED: Final = (
    # A bound that a pattern, a format or a part of the text already implies changes nothing.
    (_SKU, f"{_SKU} min_len: 1", set[str]()),
    (_SKU, f"{_SKU} max_len: 20", set[str]()),
    (_SKU, f"{_SKU} max_bytes: 80", set[str]()),
    (_SKU, f"{_SKU} min_len: 2", {TIGHTER}),
    (_SKU, f"{_SKU} max_len: 19", {TIGHTER}),
    (f"{_SKU} min_len: 1 max_len: 25", f"{_SKU} max_len: 20", set[str]()),
    (f"{_SKU} max_len: 9", f"{_SKU} max_len: 30", {LOOSER}),
    (f"{_SKU} len: 3", f"{_SKU} min_len: 4", {TIGHTER, LOOSER}),
    ("pattern: '^(foo|barn)$'", "pattern: '^(foo|barn)$' min_len: 3", set[str]()),
    ("pattern: '^a|b$'", "pattern: '^a|b$' max_len: 5", {TIGHTER}),
    ("uuid: true", "uuid: true len: 36", set[str]()),
    ("uuid: true", "uuid: true max_len: 36 min_len: 1", set[str]()),
    ("uuid: true max_len: 40", "uuid: true", set[str]()),
    ("prefix: 'abc'", "prefix: 'abc' min_len: 3", set[str]()),
    ("prefix: 'abc'", "prefix: 'abc' min_len: 4", {TIGHTER}),
    ("contains: 'ab' suffix: 'xyz'", "contains: 'ab' suffix: 'xyz' min_len: 3", set[str]()),
    ("const: 'ab'", "const: 'ab' min_len: 2", set[str]()),
    ("in: ['ab', 'abc']", "in: ['ab', 'abc'] pattern: '^a'", set[str]()),
    ("in: ['ab', 'b']", "in: ['ab', 'b'] pattern: '^a'", {TIGHTER}),
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


@pytest.mark.parametrize(("old", "new", "rules"), IMPLIED)
def test_a_bound_counts_only_as_far_as_nothing_else_implies_it(
    tmp_path: Path, old: str, new: str, rules: set[str]
) -> None:
    sides = f"string = {{{old}}}", f"string = {{{new}}}"
    assert set(_found(tmp_path, "string", *sides)) == rules


@given(st.from_regex(PATTERNS, fullmatch=True), st.data())
@settings(max_examples=200, deadline=None)
def test_the_width_of_a_pattern_holds_for_all_that_it_takes(
    pattern: str, data: st.DataObject
) -> None:
    try:
        whole = re.compile(pattern.replace("$", r"\Z"))
    except re.error:
        return
    least, most = width(pattern)
    text = data.draw(st.from_regex(whole))
    assert least <= len(text) <= most, (pattern, text)


SHAPES: Final = (
    (
        "a new field whose pattern refuses the empty text",
        "message Ask { string a = 1; }",
        "message Ask { string a = 1; string b = 2 [(buf.validate.field).string.pattern = '^a$']; }",
        {TIGHTER},
    ),
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
        "a field that can be absent now, and must not",
        "message Ask { int32 a = 1 [(buf.validate.field).required = true]; }",
        "message Ask { optional int32 a = 1 [(buf.validate.field).required = true]; }",
        {LOOSER},
    ),
    (
        "a field that cannot be absent any more, and whose zero is refused",
        "message Ask { optional int32 a = 1 [(buf.validate.field).int32.gte = 5]; }",
        "message Ask { int32 a = 1 [(buf.validate.field).int32.gte = 5]; }",
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
    own = {change.delta.rule for change in found.changes if change.delta.rule.islower()}
    assert own == rules


def test_rules_that_no_request_meets_are_a_note(tmp_path: Path) -> None:
    for side, limit in (("old", 9), ("new", 3)):
        rule = f"(buf.validate.field).string.max_len = {limit}"
        write(tmp_path / side, f"{HEAD}message Alone {{ string a = 1 [{rule}]; }}")
    (change,) = review(
        Question(str(tmp_path / "old"), Asked([tmp_path / "new"])), Settings(), {}
    ).changes
    assert change.delta.impact.value == "note"
    assert "in no request" in change.delta.message
