"""Validation rules (buf.validate) in words."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any, Final

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

_FORMATS: Final = {
    "email": "an e-mail address",
    "hostname": "a host name",
    "ip": "an IP address",
    "ipv4": "an IPv4 address",
    "ipv6": "an IPv6 address",
    "uri": "a URI",
    "uri_ref": "a URI reference",
    "address": "a host name or an IP address",
    "uuid": "a UUID",
    "tuuid": "a UUID without hyphens",
    "ulid": "a ULID",
    "ip_with_prefixlen": "an IP address with a prefix length",
    "ipv4_with_prefixlen": "an IPv4 address with a prefix length",
    "ipv6_with_prefixlen": "an IPv6 address with a prefix length",
    "ip_prefix": "an IP prefix",
    "ipv4_prefix": "an IPv4 prefix",
    "ipv6_prefix": "an IPv6 prefix",
    "host_and_port": "a host and a port",
    "protobuf_fqn": "a full protobuf name",
    "protobuf_dot_fqn": "a full protobuf name with a leading dot",
}
_HEADERS: Final = {1: "the name of an HTTP header", 2: "the value of an HTTP header"}
_IGNORE_EMPTY: Final = 1


def of_field(rules: Any) -> list[str]:
    """The rules of a field (buf.validate.FieldRules), one text a rule; `required` first."""
    found = ["required"] if rules.required else []
    if rules.ignore == _IGNORE_EMPTY:
        found.append("empty is fine; else:")
    kind = rules.WhichOneof("type")
    if kind is not None:
        found += _typed(kind, getattr(rules, kind))
    return [*found, *_cel(rules)]


def of_message(rules: Any) -> list[str]:
    """The rules of a whole message (buf.validate.MessageRules)."""
    found = list(_cel(rules))
    for oneof in getattr(rules, "oneof", ()):
        names = ", ".join(oneof.fields)
        found.append(f"{'exactly' if oneof.required else 'at most'} one of {names}")
    return found


def _cel(rules: Any) -> Iterator[str]:
    for rule in rules.cel:
        yield rule.message or f"`{rule.expression}`"
    for expression in getattr(rules, "cel_expression", ()):
        yield f"`{expression}`"


def _typed(kind: str, rules: Any) -> list[str]:
    stated = {field.name: value for field, value in rules.ListFields()}
    stated.pop("example", None)
    words: list[str] = []
    if kind in ("string", "bytes"):
        words += _bounds(stated, "min_len", "max_len", "character" if kind == "string" else "byte")
        words += _bounds(stated, "min_bytes", "max_bytes", "byte")
    elif kind == "repeated":
        words += _bounds(stated, "min_items", "max_items", "item")
    elif kind == "map":
        words += _bounds(stated, "min_pairs", "max_pairs", "pair")
    else:
        words += _range(stated)
    for name, value in stated.items():
        if name in _FORMATS:
            if value:
                words.append(_FORMATS[name])
        elif name in _INNER:
            words += [f"{_INNER[name]}: {text}" for text in of_field(value)]
        elif name in _WORDS:
            words += [text for text in [_WORDS[name](value)] if text]
        elif name != "strict":
            words.append(f"{name.replace('_', ' ')}: {_shown(value)}")
    return words


_INNER: Final = {"items": "each", "keys": "each key", "values": "each value"}


def _list(values: Any) -> str:
    return ", ".join(_shown(value) for value in values)


_WORDS: Final[dict[str, Callable[[Any], str]]] = {
    "const": lambda value: f"exactly {_shown(value)}",
    "in": lambda values: f"one of {_list(values)}",
    "not_in": lambda values: f"none of {_list(values)}",
    "len": lambda value: f"exactly {_counted(value, 'character')}",
    "len_bytes": lambda value: f"exactly {_counted(value, 'byte')}",
    "pattern": lambda value: f"matches `{value}`",
    "prefix": lambda value: f"begins with {_shown(value)}",
    "suffix": lambda value: f"ends with {_shown(value)}",
    "contains": lambda value: f"contains {_shown(value)}",
    "not_contains": lambda value: f"does not contain {_shown(value)}",
    "well_known_regex": lambda value: _HEADERS.get(value, ""),
    "defined_only": lambda value: "one of the values that the contract defines" if value else "",
    "unique": lambda value: "no item twice" if value else "",
    "finite": lambda value: "neither infinite nor NaN" if value else "",
    "lt_now": lambda value: "in the past" if value else "",
    "gt_now": lambda value: "in the future" if value else "",
    "within": lambda value: f"within {_shown(value)} of now",
}


def _bounds(stated: dict[str, Any], least: str, most: str, noun: str) -> list[str]:
    low: int | None = stated.pop(least, None)
    high: int | None = stated.pop(most, None)
    if high is None:
        return [] if low is None else [f"at least {_counted(low, noun)}"]
    if low is None:
        return [f"at most {_counted(high, noun)}"]
    if low == high:
        return [f"exactly {_counted(high, noun)}"]
    return [f"{low:,} to {_counted(high, noun)}"]


def _range(stated: dict[str, Any]) -> list[str]:
    low, above = stated.pop("gte", None), stated.pop("gt", None)
    high, below = stated.pop("lte", None), stated.pop("lt", None)
    if low is not None and high is not None and _number(low) <= _number(high):
        return [f"{_shown(low)} to {_shown(high)}"]
    lower = [f"at least {_shown(low)}"] if low is not None else []
    lower += [f"more than {_shown(above)}"] if above is not None else []
    upper = [f"at most {_shown(high)}"] if high is not None else []
    upper += [f"less than {_shown(below)}"] if below is not None else []
    if not lower or not upper:
        return lower + upper
    least = low if low is not None else above
    most = high if high is not None else below
    joint = "and" if _number(least) <= _number(most) else "or"  # outside of a range
    return [f"{lower[0]} {joint} {upper[0]}"]


def _number(value: Any) -> float:
    if isinstance(value, Message):
        seconds: Any = getattr(value, "seconds", 0)
        nanos: Any = getattr(value, "nanos", 0)
        return float(seconds) + float(nanos) / 1e9
    return float(value)


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def _shown(value: Any) -> str:
    if isinstance(value, Message):
        return str(MessageToDict(value))
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,g}"
    if isinstance(value, bytes):
        return f"the bytes {value.hex(' ')}"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    return _list(value)
