"""Example messages that keep to the validation rules of their contract, judged by protovalidate."""

from __future__ import annotations

import json
from typing import Any, Final

from google.protobuf import json_format
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from meshpact.contracts.docs import hints, repair, samples
from meshpact.contracts.docs.hints import Hint
from meshpact.contracts.docs.known import Known, is_map, real_oneof
from meshpact.contracts.docs.model import Example

_DEEPEST: Final = 6
_THEN: Final = 1_748_770_200
"""2025-06-01T09:30:00Z, in seconds since 1970."""
_LATER: Final = 4_102_444_800
"""2100-01-01T00:00:00Z."""
_INTEGERS: Final = frozenset(
    {
        FieldDescriptor.CPPTYPE_INT32,
        FieldDescriptor.CPPTYPE_INT64,
        FieldDescriptor.CPPTYPE_UINT32,
        FieldDescriptor.CPPTYPE_UINT64,
    }
)
_WRAPPERS: Final = frozenset(
    f"google.protobuf.{kind}Value"
    for kind in ("String", "Bytes", "Bool", "Int32", "Int64", "UInt32", "UInt64", "Float", "Double")
)


class Examples:
    """Makes one example a message type, the same one every time."""

    def __init__(self, known: Known) -> None:
        self._known = known
        self._made: dict[str, Example] = {}
        self._told: dict[str, dict[str, str]] = {}

    def of(self, descriptor: Descriptor) -> Example:
        """The example of a message type."""
        name = descriptor.full_name
        if name not in self._made:
            message = self._message(descriptor, ())
            for hint in hints.of(self._known.message_rules(descriptor)):
                _follow(message, hint)
            valid = repair.mend(self._known.validator, message)
            self._made[name] = Example(self._json(message), valid, message)
        return self._made[name]

    def _json(self, message: Message) -> str:
        plain = json_format.MessageToDict(message, descriptor_pool=self._known.pool)
        return json.dumps(plain, indent=2, ensure_ascii=False)

    def _message(self, descriptor: Descriptor, above: tuple[str, ...]) -> Message:
        message = self._known.make(descriptor)
        for field in descriptor.fields:
            oneof = real_oneof(field)
            if oneof is not None and field is not oneof.fields[0]:
                continue
            rules = self._known.field_rules(field)
            if _stays_empty(field, rules):
                continue
            if is_map(field):
                self._fill_map(message, field, rules, above)
            elif field.is_repeated:
                self._fill_list(message, field, rules, above)
            elif field.message_type is not None:
                inner = self._inner(field, rules, above, 0)
                if inner is not None:
                    getattr(message, field.name).CopyFrom(inner)
            else:
                value = _scalar(field, _typed(rules), 0)
                if rules is None and isinstance(value, str):
                    value = self._texts(descriptor).get(field.name, value)
                setattr(message, field.name, value)
            for hint in hints.of(rules):
                _follow(message, Hint((field.name, *hint.path), hint.operator, hint.value))
        return message

    def _texts(self, descriptor: Descriptor) -> dict[str, str]:
        """What fields of a file that have rules are filled with, by name: so that a response shows
        the same kind of text as the request that asked for it."""
        file = descriptor.file
        if file.name not in self._told:
            told = self._told[file.name] = {}
            for name in sorted(file.message_types_by_name):
                for field in file.message_types_by_name[name].fields:
                    rules = self._known.field_rules(field)
                    if rules is None or field.is_repeated or rules.WhichOneof("type") != "string":
                        continue
                    if field.cpp_type == FieldDescriptor.CPPTYPE_STRING:
                        told.setdefault(field.name, samples.text(field, rules.string))
        return self._told[file.name]

    def _fill_list(
        self, message: Message, field: FieldDescriptor, rules: Any, above: tuple[str, ...]
    ) -> None:
        items = getattr(message, field.name)
        stated = rules.repeated if rules is not None else None
        each = stated.items if stated is not None and stated.HasField("items") else None
        count = 1 if stated is None else max(1, stated.min_items)
        if stated is not None and stated.HasField("max_items") and not stated.max_items:
            return
        for number in range(count):
            if field.message_type is None:
                items.append(_scalar(field, _typed(each), number))
            elif (inner := self._inner(field, each, above, number)) is not None:
                items.append(inner)

    def _fill_map(
        self, message: Message, field: FieldDescriptor, rules: Any, above: tuple[str, ...]
    ) -> None:
        assert field.message_type is not None
        key = field.message_type.fields_by_name["key"]
        value = field.message_type.fields_by_name["value"]
        stated = rules.map if rules is not None else None
        if stated is not None and stated.HasField("max_pairs") and not stated.max_pairs:
            return
        keys = stated.keys if stated is not None and stated.HasField("keys") else None
        values = stated.values if stated is not None and stated.HasField("values") else None
        pairs = getattr(message, field.name)
        for number in range(1 if stated is None else max(1, stated.min_pairs)):
            name = _scalar(key, _typed(keys), number)
            if value.message_type is None:
                pairs[name] = _scalar(value, _typed(values), number)
            elif (inner := self._inner(value, values, above, number)) is not None:
                pairs[name].CopyFrom(inner)

    def _inner(
        self, field: FieldDescriptor, rules: Any, above: tuple[str, ...], number: int
    ) -> Message | None:
        """A message inside another; None where it would never end."""
        descriptor = field.message_type
        assert descriptor is not None
        known = self._well_known(descriptor, field, rules, number)
        if known is not None:
            return known
        if descriptor.full_name in above or len(above) >= _DEEPEST:
            return None
        inner = self._message(descriptor, (*above, descriptor.full_name))
        for hint in hints.of(self._known.message_rules(descriptor)):
            _follow(inner, hint)
        return inner

    def _well_known(
        self, descriptor: Descriptor, field: FieldDescriptor, rules: Any, number: int
    ) -> Message | None:
        """A message of google.protobuf that stands for a value; None for every other."""
        name = descriptor.full_name
        if not name.startswith("google.protobuf."):
            return None
        made = self._known.make(descriptor)
        message: Any = made
        if name == "google.protobuf.Timestamp":
            _moment(message, _typed(rules), number)
        elif name == "google.protobuf.Duration":
            _duration(message, _typed(rules))
        elif name in _WRAPPERS:
            message.value = _scalar(descriptor.fields_by_name["value"], _typed(rules), number)
        elif name == "google.protobuf.FieldMask":
            message.paths.extend(_paths(field))
        elif name in ("google.protobuf.Struct", "google.protobuf.Value"):
            json_format.ParseDict({"key": "value"}, message)
        elif name == "google.protobuf.ListValue":
            message.values.add().string_value = "value"
        elif name == "google.protobuf.Any":
            return None
        return made


_LANGUAGES: Final = frozenset(("filter", "order_by"))
"""Texts in a language of the service's own (AIP-132, AIP-160), which no sample would be in."""


def _stays_empty(field: FieldDescriptor, rules: Any) -> bool:
    """Whether an example is better off without a value: the first page, any order."""
    if field.message_type is not None:
        return field.message_type.full_name == "google.protobuf.Any"
    if rules is not None and (rules.required or rules.string.min_len > 0):
        return False
    if field.name in _LANGUAGES and field.type == FieldDescriptor.TYPE_STRING:
        stated = () if rules is None else rules.string.ListFields()
        return {each.name for each, _ in stated} <= {"max_len", "max_bytes"}
    return field.name == "page_token"


def _typed(rules: Any) -> Any:
    """The rules of a field's type (StringRules, ...); None for none."""
    if rules is None:
        return None
    kind = rules.WhichOneof("type")
    return None if kind is None else getattr(rules, kind)


def _scalar(field: FieldDescriptor, rules: Any, number: int) -> Any:
    kind = field.cpp_type
    if kind == FieldDescriptor.CPPTYPE_ENUM:
        return samples.choice(field, rules)
    if kind == FieldDescriptor.CPPTYPE_BOOL:
        return samples.truth(rules)
    if kind == FieldDescriptor.CPPTYPE_STRING:
        if field.type == FieldDescriptor.TYPE_BYTES:
            return samples.data(rules)
        return samples.text(field, rules, number)
    found = samples.number(field, rules, number)
    return int(found) if kind in _INTEGERS else float(found)


def _moment(message: Any, rules: Any, number: int) -> None:
    message.seconds = _THEN + 60 * number
    if rules is None:
        return
    if rules.gt_now:
        message.seconds = _LATER
    for name, step in (("const", 0), ("gte", 0), ("lte", 0), ("gt", 1), ("lt", -1)):
        if rules.HasField(name):
            message.CopyFrom(_copy(message, getattr(rules, name)))
            message.seconds += step


def _duration(message: Any, rules: Any) -> None:
    message.seconds = 30
    if rules is None:
        return
    for name, nanos in (("lt", -1), ("gt", 1), ("lte", 0), ("gte", 0), ("const", 0)):
        if rules.HasField(name):
            edge = getattr(rules, name)
            total = edge.seconds * 10**9 + edge.nanos + nanos * 10**6
            message.seconds, message.nanos = divmod(total, 10**9)
    chosen = [*getattr(rules, "example", ()), *getattr(rules, "in", ())]
    if chosen:
        message.CopyFrom(_copy(message, chosen[0]))


def _copy(like: Message, value: Message) -> Message:
    return type(like).FromString(value.SerializeToString())


def _paths(field: FieldDescriptor) -> list[str]:
    """A path for a mask: a field of the message that stands beside it (AIP-134)."""
    assert field.containing_type is not None
    for beside in field.containing_type.fields:
        inner = beside.message_type
        if inner is not None and not inner.full_name.startswith("google.protobuf."):
            plain = [each.name for each in inner.fields if each.message_type is None]
            return plain[-1:]
    return []


def _follow(message: Message, hint: Hint) -> None:
    """Change a message so that the hint holds, where it can be done."""
    owner, name = _owner(message, hint.path)
    if owner is None:
        return
    field = owner.DESCRIPTOR.fields_by_name.get(name)
    if field is None or field.is_repeated:
        return
    value = hint.value
    if hint.other:
        other, last = _owner(message, hint.other)
        if other is None or last not in other.DESCRIPTOR.fields_by_name:
            return
        value = getattr(other, last)
    if field.message_type is not None:
        current: Any = getattr(owner, name)
        if isinstance(value, Message) and hint.operator in ("<", "<=", ">", ">="):
            seconds: Any = value
            current.seconds = seconds.seconds + (3600 if hint.operator in (">", ">=") else -3600)
        return
    if value is None or isinstance(value, Message):
        return
    try:
        setattr(owner, name, hints.wanted(hint, value, getattr(owner, name)))
    except (TypeError, ValueError):
        return  # the rule compares what it should not, or means something else


def _owner(message: Message, path: tuple[str, ...]) -> tuple[Message | None, str]:
    current: Any = message
    for name in path[:-1]:
        field = current.DESCRIPTOR.fields_by_name.get(name)
        if field is None or field.message_type is None or field.is_repeated:
            return None, ""
        current = getattr(current, name)
    return (current, path[-1]) if path else (None, "")
