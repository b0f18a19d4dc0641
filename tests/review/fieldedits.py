"""Edits of the rules of fields that contracts have, and requests that differ in one field alone."""

from __future__ import annotations

import copy
import random
import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    FieldDescriptorProto,
    FieldOptions,
    FileDescriptorProto,
)

from meshpact.contracts.image import Image
from review.guardworld import Contracts
from review.ruleedits import Bodies, example, options

_F = FieldDescriptorProto
_RULES: Final = {
    "number": (
        "T.gte = 0",
        "T.gte = 1",
        "T.gte = 5",
        "T.lte = 20",
        "T.lte = 999999",
        "T = {gte: 1 lte: 9}",
        "T = {in: [1, 2, 3]}",
        "T = {not_in: [7]}",
        "T.const = 1",
        "required = true",
    ),
    "string": (
        "string.min_len = 1",
        "string.min_len = 5",
        "string.max_len = 6",
        "string.max_len = 20",
        "string.max_bytes = 30",
        "string = {min_len: 1 max_len: 100}",
        "string.uuid = true",
        "string.pattern = '^[0-9A-Za-z]{1,20}$'",
        "string.pattern = '^x+$'",
        "string.prefix = 'x'",
        "string = {in: ['x', 'xx']}",
        "string = {not_in: ['x']}",
        "required = true",
        "ignore = IGNORE_IF_ZERO_VALUE, (buf.validate.field).string.min_len = 3",
    ),
    "repeated": (
        "repeated.min_items = 1",
        "repeated.max_items = 2",
        "repeated = {min_items: 1 max_items: 3}",
        "repeated.unique = true",
        "required = true",
    ),
    "message": ("required = true",),
    "enum": (
        "enum.defined_only = true",
        "enum = {in: [0, 1]}",
        "enum = {not_in: [0]}",
        "required = true",
    ),
    "bool": ("bool.const = true", "required = true"),
}
_KINDS: Final = {
    _F.TYPE_STRING: "string",
    _F.TYPE_MESSAGE: "message",
    _F.TYPE_ENUM: "enum",
    _F.TYPE_BOOL: "bool",
    **dict.fromkeys((_F.TYPE_INT32, _F.TYPE_INT64, _F.TYPE_UINT32, _F.TYPE_UINT64), "number"),
}


def edit_rules(file: FileDescriptorProto, chance: random.Random) -> tuple[str, str, str]:
    """Gives a field other rules: none, further ones or others. Says what it did, the message and
    the field; "" when nothing fits."""
    message = chance.choice(file.message_type)
    text, field = edit_message(message, chance)
    return text, f"{file.package}.{message.name}" if text else "", field


def edit_message(message: DescriptorProto, chance: random.Random) -> tuple[str, str]:
    """The same for a message: what it did, and the field."""
    fields = [
        each
        for each in message.field
        if each.type in _KINDS and not (each.HasField("oneof_index") and not each.proto3_optional)
    ]
    if not fields:
        return "", ""
    field = chance.choice(fields)
    kind = "repeated" if field.label == _F.LABEL_REPEATED else _KINDS[field.type]
    rules = chance.choice(_RULES[kind])
    if "unique" in rules and field.type == _F.TYPE_MESSAGE:
        rules = _RULES[kind][0]  # no server begins with the other
    if kind == "repeated" and field.type == _F.TYPE_STRING and chance.random() < 0.5:
        rules = f"repeated.items.{chance.choice(_RULES['string'][:10])}"
    typed = _F.Type.Name(field.type).removeprefix("TYPE_").lower()
    rules = re.sub(r"^T\b", typed, rules)
    how = chance.choice(["none", "further", "other"])
    if how != "further":
        field.options.CopyFrom(FieldOptions(debug_redact=field.options.debug_redact))
    if how != "none":
        field.options.MergeFromString(options(rules).SerializeToString())
    return f"{message.name}.{field.name}: {how} {rules}", field.name


def bodies(image: Image, reference: Image, message: str, field: str) -> dict[str, Bodies]:
    """For each method whose requests can hold a message: requests that are right but for one field
    of it, which is tried with many values."""
    contracts = Contracts(image)
    found: dict[str, Bodies] = {}
    for file in image.own_files:
        for service in file.service:
            for method in service.method:
                name = f"{file.package}.{service.name}/{method.name}"
                request = contracts.spec(name).request
                path = _path(request.DESCRIPTOR, message, ())
                if path is not None:
                    base = request.FromString(example(reference, request.DESCRIPTOR.full_name))
                    found[name] = tuple(dict.fromkeys(tried(base, path, field)))
    return found


def _path(
    request: Descriptor, message: str, above: tuple[FieldDescriptor, ...]
) -> tuple[FieldDescriptor, ...] | None:
    """The fields that lead from a request to a message in it, None when none do."""
    if request.full_name == message:
        return above
    for field in request.fields:
        inner = field.message_type
        if inner is not None and len(above) < 5 and field not in above:
            if inner.GetOptions().map_entry:
                continue
            found = _path(inner, message, (*above, field))
            if found is not None:
                return found
    return None


def tried(base: Any, path: tuple[FieldDescriptor, ...], name: str) -> Iterator[bytes]:
    """Requests that differ from one in a field alone, of a message deep in it."""
    field = _owner(base, path).DESCRIPTOR.fields_by_name[name]
    yield base.SerializeToString()
    for value in (*_values(field, _owner(base, path)), None):
        message: Any = copy.deepcopy(base)
        owner = _owner(message, path)
        owner.ClearField(name)
        if value is not None:
            try:
                if field.is_repeated:
                    getattr(owner, name).extend(value)
                elif field.message_type is not None:
                    getattr(owner, name).SetInParent()
                else:
                    setattr(owner, name, value)
            except ValueError:
                continue  # a number that the type cannot hold
        yield message.SerializeToString()


def _owner(message: Any, path: tuple[FieldDescriptor, ...]) -> Any:
    for field in path:
        value = getattr(message, field.name)
        if field.is_repeated:
            message = value[0] if value else value.add()
        else:
            value.SetInParent()
            message = value
    return message


def _values(field: FieldDescriptor, owner: Any) -> Sequence[Any]:
    own = getattr(owner, field.name)
    if field.is_repeated:
        items = list(own)
        if field.message_type is not None:
            several = [_numbered(items[0], count) for count in range(1001)] if items else []
            alike = (items[:1] * count for count in _COUNTS)
            return [several[:1] * 2, *(several[:count] for count in _COUNTS), *alike]
        if field.type != _F.TYPE_STRING:
            return [[], *([number] * count for number in range(3) for count in range(1, 5))]
        texts = _texts(items[0] if items else "x")
        several = [f"{items[0]}{count}"[-20:] if items else str(count) for count in range(120)]
        lists: list[Any] = [several[:count] for count in (0, 1, 2, 3, 4, 20, 50, 51, 100, 101)]
        return [*lists, several[:1] * 2, *([each] for each in texts)]
    if field.type == _F.TYPE_STRING:
        return _texts(own)
    if field.type == _F.TYPE_BOOL:
        return [False, True]
    if field.message_type is not None:
        return [True]
    numbers = [*range(-3, 30), 99, 100, 101, 998, 999, 1000, 999_998, 999_999, 1_000_000, 2**31 - 1]
    return [*numbers, 1_000_001, 2**62, -(2**31)]


_COUNTS: Final = (0, 1, 2, 3, 4, 20, 21, 50, 51, 99, 100, 101, 200, 201, 500, 501, 1000, 1001)


def _numbered(item: Any, number: int) -> Any:
    """An item that differs from others in its first text."""
    made = copy.deepcopy(item)
    for field, value in item.ListFields():
        if field.type == _F.TYPE_STRING and not field.is_repeated:
            setattr(made, field.name, f"{value}{number}"[-20:])
            break
    return made


def _texts(example: str) -> list[str]:
    """Texts of many lengths, of the letters of one that is right, and others."""
    sizes = (*range(25), 29, 30, 31, 35, 36, 37, 64, 99, 100, 101, 127, 128, 129)
    sizes = (*sizes, 199, 200, 201, 254, 255, 256, 257, 499, 500, 501, 999, 1000, 1001)
    sizes = (*sizes, 1999, 2000, 2001, 8191, 8192, 8193)
    letters = (example or "x", "x", "A1", "-", "\u00e9")
    made = [(each * size)[:size] for each in letters for size in sizes]
    return [*made, example, "0f8fad5b-d9cb-469f-a165-70867728950e", f"x{example}", "\U0001f600" * 5]
