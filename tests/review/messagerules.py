"""Messages whose rules, or whose place in a method, change; each must be told as it is."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

TIGHTER: Final = "validation-tightened"
LOOSER: Final = "validation-loosened"
UNCLEAR: Final = "validation-unclear"
BOTH: Final = frozenset({TIGHTER, LOOSER})


@dataclass(frozen=True)
class Case:
    """The inside of a message on each side, what stands beside it there, and the rules of the
    findings."""

    name: str
    old: str
    new: str
    found: frozenset[str] = frozenset()
    old_beside: str = ""
    new_beside: str = ""


def _cel(*expressions: str) -> str:
    rules = (
        f"option (buf.validate.message).cel = {{id: 'i{n}' expression: '{each}'}};"
        for n, each in enumerate(expressions)
    )
    return " ".join(rules) + " string a = 1;"


def _oneof(*rules: str) -> str:
    options = " ".join(f"option (buf.validate.message).oneof = {{{each}}};" for each in rules)
    return f"{options} string a = 1; int32 b = 2; repeated string c = 3; optional string d = 4;"


def _one(name: str, old: str, new: str, *found: str) -> Case:
    return Case(name, old, new, frozenset(found))


_RULE: Final = "[(buf.validate.field).{}]"


def _field(rules: str) -> str:
    return f"string a = 1 {_RULE.format(rules)};" if rules else "string a = 1;"


_PREDEFINED: Final = """
extend buf.validate.StringRules {{
  optional bool {0}_low = {1} [(buf.validate.predefined).cel = {{
    id: 'low' expression: '{2}'
  }}];
  optional uint32 {0}_few = {3} [(buf.validate.predefined).cel = {{
    id: 'few' expression: 'size(this) <= rule'
  }}];
}}
"""


def _predefined(name: str, number: int, expression: str = "this == this.lowerAscii()") -> str:
    return _PREDEFINED.format(name, number, expression, number + 1)


def _low(name: str, number: int, old: str, new: str, *found: str, after: str = "") -> Case:
    """Predefined rules: each case has its own."""
    return Case(
        name.title(),
        _field(old),
        _field(new),
        frozenset(found),
        _predefined(name, number),
        _predefined(name, number, *([after] if after else [])),
    )


CEL: Final = (
    _one("CelSame", _cel('this.a != "x"'), _cel('this.a != "x"')),
    _one("CelOtherOrder", _cel("true", 'this.a != "x"'), _cel('this.a != "x"', "true")),
    _one("CelAdded", _cel(), _cel('this.a != "x"'), TIGHTER),
    _one("CelFurther", _cel("true"), _cel("true", 'this.a != "x"'), TIGHTER),
    _one("CelRemoved", _cel("true", 'this.a != "x"'), _cel("true"), LOOSER),
    _one("CelChanged", _cel('this.a != "x"'), _cel('this.a != "y"'), UNCLEAR),
    _one(
        "CelOfOneId",
        "option (buf.validate.message).cel = {id: 'i' expression: 'this.a != \"x\"'};"
        "option (buf.validate.message).cel = {id: 'i' expression: 'this.a != \"y\"'};"
        "string a = 1;",
        "option (buf.validate.message).cel = {id: 'i' expression: 'this.a != \"y\"'};string a = 1;",
        LOOSER,
    ),
    _one(
        "CelShort",
        "string a = 1;",
        "option (buf.validate.message).cel_expression = 'this.a != \"x\"'; string a = 1;",
        TIGHTER,
    ),
    _one(
        "CelShortForLong",
        _cel('this.a != "x"'),
        "option (buf.validate.message).cel_expression = 'this.a != \"x\"'; string a = 1;",
    ),
    _one(
        "CelForOneof",
        _oneof("fields: ['a', 'b']"),
        "option (buf.validate.message).cel_expression = 'this.a == \"\"';"
        "string a = 1; int32 b = 2; repeated string c = 3; optional string d = 4;",
        UNCLEAR,
    ),
    _one("FieldCelAdded", _field(""), _field("cel_expression = 'this != \"x\"'"), TIGHTER),
    _one("FieldCelRemoved", _field("cel_expression = 'this != \"x\"'"), _field(""), LOOSER),
    _one(
        "FieldCelChanged",
        _field("cel_expression = 'this != \"x\"'"),
        _field("cel_expression = 'this != \"y\"'"),
        UNCLEAR,
    ),
    _one(
        "FieldCelForBound",
        _field("string.max_len = 3"),
        _field("cel_expression = 'size(this) < 4'"),
        UNCLEAR,
    ),
    _one(
        "FieldCelBesideBound",
        _field("string.max_len = 3"),
        _field("cel_expression = 'this != \"x\"', (buf.validate.field).string.max_len = 2"),
        TIGHTER,
    ),
    _low("come", 90000, "", "string.(shop.v1.come_low) = true", TIGHTER),
    _low("gone", 90002, "string.(shop.v1.gone_few) = 3", "", LOOSER),
    _low("same", 90004, "string.(shop.v1.same_low) = true", "string.(shop.v1.same_low) = true"),
    _low("more", 90006, "string.(shop.v1.more_few) = 3", "string.(shop.v1.more_few) = 4", UNCLEAR),
    _low(
        "swap", 90008, "string.(shop.v1.swap_few) = 3", "string.(shop.v1.swap_low) = true", UNCLEAR
    ),
    _low(
        "drift",
        90010,
        "string.(shop.v1.drift_low) = true",
        "string.(shop.v1.drift_low) = true",
        UNCLEAR,
        after='this == "a"',
    ),
)
"""Rules in CEL, and predefined ones."""

_ENUM: Final = "enum {0} {{ {1}_UNSPECIFIED = 0; {1}_ONE = 1; {2} }}"


def _enum(name: str, old: str, new: str, *found: str, options: str = "enum.defined_only") -> Case:
    prefix = name.upper()
    rules = _RULE.format(f"{options} = true")
    kind = f"{name}Kind"
    label = "repeated " if options.startswith("repeated") else ""
    inside = f"{label}{kind} a = 1 {rules};"
    return Case(
        name,
        inside,
        inside,
        frozenset(found),
        _ENUM.format(kind, prefix, old.format(prefix)),
        _ENUM.format(kind, prefix, new.format(prefix)),
    )


_INNER: Final = "message {0}Inner {{ string x = 1 [(buf.validate.field).string.min_len = 2]; }}"
_LOOSE: Final = "message {0}Inner {{ string x = 1; }}"


def _inner(name: str, old: str, new: str, *found: str, inner: str = _INNER) -> Case:
    texts = [f"{name}Inner a = 1{f' {_RULE.format(each)}' if each else ''};" for each in (old, new)]
    beside = inner.format(name)
    return Case(name, texts[0], texts[1], frozenset(found), beside, beside)


DRIFT: Final = (
    _enum("MoreValues", "", "{0}_TWO = 2;", LOOSER),
    _enum("FewerValues", "{0}_TWO = 2;", "", TIGHTER),
    _enum("OtherValues", "{0}_TWO = 2;", "{0}_THREE = 3;", TIGHTER, LOOSER),
    _enum("OtherNames", "{0}_TWO = 2;", "{0}_ZWEI = 2;"),
    _enum("MoreItems", "", "{0}_TWO = 2;", LOOSER, options="repeated.items.enum.defined_only"),
    _inner("NotJudged", "", "ignore = IGNORE_ALWAYS", LOOSER),
    _inner("JudgedAgain", "ignore = IGNORE_ALWAYS", "", TIGHTER),
    _inner("NothingToJudge", "", "ignore = IGNORE_ALWAYS", inner=_LOOSE),
)
"""Fields that stand as they stood, while what they are made of does not."""

ONEOFS: Final = (
    _one(
        "OneofLifted",
        "oneof what { option (buf.validate.oneof).required = true; string a = 1; string b = 2; }",
        "oneof what { string a = 1; string b = 2; }",
        LOOSER,
    ),
    _one(
        "OneofGone",
        "oneof what { option (buf.validate.oneof).required = true; string a = 1; string b = 2; }",
        "optional string a = 1; optional string b = 2;",
        LOOSER,
    ),
    _one(
        "OneofRenamed",
        "oneof what { option (buf.validate.oneof).required = true; string a = 1; string b = 2; }",
        "oneof which { option (buf.validate.oneof).required = true; string a = 1; string b = 2; }",
    ),
    _one(
        "OneofOfFewer",
        "oneof what { option (buf.validate.oneof).required = true; string a = 1; string b = 2; }",
        "oneof what { option (buf.validate.oneof).required = true; string a = 1; }",
        TIGHTER,
    ),
    _one(
        "OneofOfMore",
        "oneof what { option (buf.validate.oneof).required = true; string a = 1; }",
        "oneof what { option (buf.validate.oneof).required = true; string a = 1; string b = 2; }",
    ),
    _one("OneofUnknown", _oneof(), _oneof("fields: ['a', 'nobody']"), UNCLEAR),
    _one(
        "OneofOfMany",
        "".join(f"optional string f{n} = {n};" for n in range(1, 60)),
        f"option (buf.validate.message).oneof = {{fields: {[f'f{n}' for n in range(1, 60)]}"
        " required: true};" + "".join(f"optional string f{n} = {n};" for n in range(1, 60)),
        TIGHTER,
    ),
)
"""Oneofs, and rules of that kind, beside those that are tried whole."""

CHOICES: Final = (
    "",
    "fields: ['a', 'b']",
    "fields: ['a', 'b'] required: true",
    "fields: ['b', 'a'] required: true",
    "fields: ['a', 'b', 'c']",
    "fields: ['a', 'b', 'c', 'd'] required: true",
    "fields: ['c', 'd'] required: true",
    "fields: ['a'] required: true",
)
"""Rules of the kind `oneof`, each to be changed into each other."""
MEMBERS: Final = (
    "string a = 1 [(buf.validate.field).string.min_len = 2]; int32 b = 2;"
    " repeated string c = 3 [(buf.validate.field).required = true]; optional string d = 4;",
    "string a = 1; int32 b = 2; repeated string c = 3; optional string d = 4;",
)
"""The fields that they are about."""


@dataclass(frozen=True)
class Replaced:
    """A request that another message took the place of, both still there: the inside of each, and
    what is found, with the field that it is about."""

    name: str
    was: str
    now: str
    found: frozenset[tuple[str, str]] = field(default_factory=frozenset[tuple[str, str]])
    beside: str = ""


def _put(name: str, was: str, now: str, *found: tuple[str, str], beside: str = "") -> Replaced:
    return Replaced(name, was, now, frozenset(found), beside)


_SKU: Final = "string sku = 1 [(buf.validate.field).string.max_len = 20];"
REPLACED: Final = (
    _put("Alike", _SKU, _SKU),
    _put("RuleGone", _SKU, "string sku = 1;", (LOOSER, "sku")),
    _put("RuleCome", "string sku = 1;", _SKU, (TIGHTER, "sku")),
    _put(
        "OtherNumber",
        _SKU,
        "int32 n = 1; string sku = 3 [(buf.validate.field).string.max_len = 10];",
        (TIGHTER, "sku"),
    ),
    _put("OtherName", _SKU, "string code = 1;", (LOOSER, "code")),
    _put(
        "Demanded",
        _SKU,
        f"{_SKU} string who = 2 [(buf.validate.field).required = true];",
        (TIGHTER, "who"),
    ),
    _put("NotDemanded", "string who = 2 [(buf.validate.field).required = true];", "", (LOOSER, "")),
    _put(
        "MarkGone",
        "string who = 2 [debug_redact = true];",
        "string who = 2;",
        ("redaction-removed", "who"),
    ),
    _put(
        "MarkCome",
        "string who = 2;",
        "string who = 2 [debug_redact = true];",
        ("redaction-added", "who"),
    ),
    _put(
        "Inside",
        "InsidePart p = 1;",
        "InsideOther p = 1;",
        (LOOSER, "sku"),
        beside=f"message InsidePart {{ {_SKU} }} message InsideOther {{ string sku = 1; }}",
    ),
    _put(
        "CelGone",
        "option (buf.validate.message).cel_expression = 'true'; string a = 1;",
        "string a = 1;",
        (LOOSER, ""),
    ),
)
