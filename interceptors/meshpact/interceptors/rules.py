"""The commonest field rules as one expression of Python, for requests that hold them all.

protovalidate decides what is wrong with a request and how it is told. That nothing is wrong can be
seen cheaper for rules that are a comparison or two: such a message is accepted without it. Where
one rule is of another kind the whole message goes to protovalidate.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from keyword import iskeyword
from typing import Any, Final

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.unknown_fields import UnknownFieldSet

_OPTION: Final = "buf.validate.field"
_NUMBER: Final = 1159
"""Field number of buf.validate's options, the same on messages, oneofs and fields."""
_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_CLASS: Final = r"\[(?:[A-Za-z0-9](?:-[A-Za-z0-9])?|[_. ])+-?\]"
_PLAIN: Final = re.compile(
    rf"\^((?:(?:{_CLASS}|[A-Za-z0-9_-])(?:\{{[0-9]+(?:,[0-9]*)?\}}|[+*?])?)+)\$"
)
"""Patterns that mean the same to RE2 and to Python's `re`, end of text included."""

_INTEGERS: Final = frozenset(
    f"{kind}{size}" for kind in ("int", "uint", "sint", "fixed", "sfixed") for size in (32, 64)
)
_IGNORE_UNSPECIFIED, _IGNORE_IF_ZERO, _IGNORE_ALWAYS = 0, 1, 3


class _OtherRule(Exception):
    """A rule that this module does not know."""


def compile_rules(descriptor: Descriptor) -> Callable[[Message], bool] | None:
    """What says that a message of this type holds all its rules; None where that is not known.

    False means: ask protovalidate.
    """
    names: dict[str, Any] = {"uuid": _UUID.fullmatch}
    try:
        terms = list(_message(descriptor, "m", names, ()))
    except _OtherRule:
        return None
    source = f"lambda m: {' and '.join(terms) or 'True'}"
    # The source is made of the contract's identifiers and of literals that repr or json wrote.
    compiled: Callable[[Message], bool] = eval(source, {"__builtins__": _BUILTINS, **names})  # noqa: S307
    return compiled


_BUILTINS: Final = {"len": len, "all": all, "getattr": getattr, "set": set}


def _message(
    descriptor: Descriptor, variable: str, names: dict[str, Any], above: tuple[str, ...]
) -> Iterator[str]:
    if descriptor.full_name in above or len(above) > 4:
        raise _OtherRule
    if _rules_of(descriptor.GetOptions(), "buf.validate.message"):
        raise _OtherRule
    if any(_rules_of(oneof.GetOptions(), "buf.validate.oneof") for oneof in descriptor.oneofs):
        raise _OtherRule
    for field in descriptor.fields:
        yield from _field(field, variable, names, (*above, descriptor.full_name))


def _field(
    field: FieldDescriptor, variable: str, names: dict[str, Any], above: tuple[str, ...]
) -> Iterator[str]:
    rules = _rules_of(field.GetOptions(), _OPTION)
    value = (
        f"{variable}.{field.name}"
        if field.name.isidentifier() and not iskeyword(field.name)
        else f"getattr({variable}, {field.name!r})"
    )
    there = f"{variable}.HasField({field.name!r})" if field.has_presence else value
    required, ignore = rules.pop("required", False), rules.pop("ignore", _IGNORE_UNSPECIFIED)
    if ignore == _IGNORE_ALWAYS:
        return
    if ignore not in (_IGNORE_UNSPECIFIED, _IGNORE_IF_ZERO):
        raise _OtherRule
    terms: list[str] = []
    item = f"x{len(above)}"
    message = field.message_type
    if message is not None and message.GetOptions().map_entry:
        if rules or any(each.message_type is not None for each in message.fields):
            raise _OtherRule
    elif field.is_repeated:
        terms += _repeated(rules.pop("repeated", None), value, item, names)
        if message is not None:
            nested = list(_message(message, item, names, above))
            terms += [f"all({' and '.join(nested)} for {item} in {value})"] if nested else []
    elif message is not None:
        terms += _message(message, value, names, above)
    else:
        for kind in list(rules):
            terms += _scalar(kind, rules.pop(kind), value, names)
    if rules:
        raise _OtherRule
    if required:
        yield there
    if terms:
        joined = " and ".join(terms)
        skipped = field.has_presence and not required
        if ignore == _IGNORE_IF_ZERO:
            if message is not None:
                raise _OtherRule
            yield f"(not {value} or {joined})"
        else:
            yield f"(not {there} or {joined})" if skipped else joined


def _repeated(rules: Message | None, value: str, item: str, names: dict[str, Any]) -> Iterator[str]:
    if rules is None:
        return
    for rule, limit in _listed(rules):
        if rule == "min_items":
            yield f"len({value}) >= {limit}"
        elif rule == "max_items":
            yield f"len({value}) <= {limit}"
        elif rule == "items":
            terms: list[str] = []
            for kind, each in _listed(limit):
                terms += _scalar(kind, each, item, names)
            if terms:
                yield f"all({' and '.join(terms)} for {item} in {value})"
        else:
            raise _OtherRule


def _scalar(kind: str, rules: Any, value: str, names: dict[str, Any]) -> Iterator[str]:
    if kind == "string":
        yield from _string(rules, value, names)
    elif kind in _INTEGERS:
        yield from _integer(rules, value)
    else:
        raise _OtherRule


def _string(rules: Message, value: str, names: dict[str, Any]) -> Iterator[str]:
    for rule, limit in _listed(rules):
        if rule == "min_len":
            yield f"len({value}) >= {limit}"
        elif rule == "max_len":
            yield f"len({value}) <= {limit}"
        elif rule == "len":
            yield f"len({value}) == {limit}"
        elif rule == "const":
            yield f"{value} == {json.dumps(limit)}"
        elif rule == "uuid" and limit:
            yield f"uuid({value})"
        elif rule == "pattern" and (plain := _PLAIN.fullmatch(limit)):
            name = f"pattern{len(names)}"
            names[name] = re.compile(plain[1]).fullmatch
            yield f"{name}({value})"
        else:
            raise _OtherRule


def _integer(rules: Message, value: str) -> Iterator[str]:
    found = dict(_listed(rules))
    low = [found[rule] for rule in ("gt", "gte") if rule in found]
    high = [found[rule] for rule in ("lt", "lte") if rule in found]
    if low and high and high[0] <= low[0]:
        raise _OtherRule  # an exclusive range, or a single number
    for rule, limit in found.items():
        if rule in _COMPARED:
            yield f"{value} {_COMPARED[rule]} {limit}"
        elif rule == "in":
            yield f"{value} in {tuple(limit)!r}"
        elif rule == "not_in":
            yield f"{value} not in {tuple(limit)!r}"
        else:
            raise _OtherRule


_COMPARED: Final = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<=", "const": "=="}


def _rules_of(options: Message, extension: str) -> dict[str, Any]:
    for field, value in options.ListFields():
        if field.full_name == extension:
            return dict(_listed(value))
    unread = UnknownFieldSet(options)
    if any(unread[index].field_number == _NUMBER for index in range(len(unread))):
        raise _OtherRule  # nobody here has loaded the module of buf.validate
    return {}


def _listed(rules: Any) -> Iterator[tuple[str, Any]]:
    for field, value in rules.ListFields():
        if field.is_extension:
            raise _OtherRule
        if field.name != "example":
            yield field.name, value
