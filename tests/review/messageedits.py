"""Edits of messages as wholes: rules of several fields, and a request that another message takes
the place of; with requests that tell the old ones from the new."""

from __future__ import annotations

import itertools
import random
from collections.abc import Mapping
from functools import cache
from typing import Any, Final

from google.protobuf import text_format
from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
    MessageOptions,
)
from google.protobuf.message_factory import GetMessageClass

from meshpact.contracts import thirdparty
from meshpact.contracts.image import Image
from review import fieldedits, ruleedits
from review.guardworld import Contracts
from review.ruleedits import Bodies, copied, example

_F = FieldDescriptorProto
_PROBES: Final = {
    "probe_a": (_F.TYPE_STRING, _F.LABEL_OPTIONAL),
    "probe_b": (_F.TYPE_INT32, _F.LABEL_OPTIONAL),
    "probe_c": (_F.TYPE_STRING, _F.LABEL_REPEATED),
}
_FIRST: Final = 5000
_FIELDS: Final = ("", "string.min_len = 2", "required = true")
"""Rules of the first of them."""
_CHOICES: Final = tuple(
    f"oneof {{ {' '.join(f'fields: {name!r}' for name in names)} required: {required} }}"
    for count in (1, 2, 3)
    for names in itertools.combinations(_PROBES, count)
    for required in ("true", "false")
)
_CEL: Final = tuple(
    f"{kind} {expression!r} }}" if kind.startswith("cel {") else f"{kind} {expression!r}"
    for expression in ("this.probe_a != 'xx'", "this.probe_b < 5", "this.probe_c.size() < 2")
    for kind in ("cel { id: 'i' expression:", "cel_expression:")
)
_BODIES: Final = tuple(
    itertools.product(("", "x", "xx", "xxx"), (0, 1, 5), ((), ("x",), ("x", "y")))
)

Edit = tuple[str, Image, Image, Mapping[str, Bodies]]
"""What was done, both sides, and requests to try, by method."""


def together(image: Image, chance: random.Random) -> Edit:
    """Gives a request new fields on both sides, with other rules of the message on each."""
    rules = _CHOICES if chance.random() < 0.6 else _CEL
    before, after = (chance.sample(rules, chance.choice([0, 1, 1, 2])) for _ in range(2))
    if chance.random() < 0.5:
        after = [*before, *after]
    of_field = chance.choice(_FIELDS) if rules is _CHOICES else ""
    name, message = ruleedits.any_request(image, chance)
    old, new = (_with_rules(image, message, each, of_field) for each in (before, after))
    make = Contracts(new).spec(name).request
    base = example(image, make.DESCRIPTOR.full_name)
    found: list[bytes] = []
    for a, b, c in _BODIES:
        request = make.FromString(base)
        request.probe_a, request.probe_b = a, b
        request.probe_c.extend(c)
        found.append(request.SerializeToString())
    return f"{message} [{of_field}]: {before} -> {after}", old, new, {name: tuple(found)}


def replaced(image: Image, chance: random.Random) -> Edit | None:
    """Lets a method take a copy of its request, in which a field has other rules."""
    name, message = ruleedits.any_request(image, chance)
    files = [copied(each) for each in image.files]
    file, was = next(
        (file, each)
        for file in files
        for each in file.message_type
        if f".{file.package}.{each.name}" == message
    )
    now = _copy(file, was)
    text, field = fieldedits.edit_message(now, chance)
    if not text:
        return None
    package, _, method = name.rpartition("/")
    for service in file.service:
        if package == f"{file.package}.{service.name}":
            for each in service.method:
                if each.name == method:
                    each.input_type = f".{file.package}.{now.name}"
    new = Image(tuple(files), image.own)
    request = Contracts(new).spec(name).request
    base = request.FromString(example(image, message[1:]))
    tried = tuple(dict.fromkeys(fieldedits.tried(base, (), field)))
    return f"{name} takes a copy of {message}: {text}", image, new, {name: tried}


def _copy(file: FileDescriptorProto, was: DescriptorProto) -> DescriptorProto:
    """Another message of the same fields; what is nested in it is its own."""
    now = file.message_type.add()
    now.CopyFrom(was)
    now.name = f"{was.name}Copy"
    inside = f".{file.package}.{was.name}."
    for field in now.field:
        if field.type_name.startswith(inside):
            field.type_name = f".{file.package}.{now.name}.{field.type_name[len(inside) :]}"
    return now


def _with_rules(image: Image, message: str, rules: list[str], of_field: str) -> Image:
    files = [copied(each) for each in image.files]
    for file in files:
        for owner in file.message_type:
            if f".{file.package}.{owner.name}" == message:
                owner.options.MergeFromString(_options(" ".join(rules)).SerializeToString())
                for number, (name, (type_, label)) in enumerate(_PROBES.items(), _FIRST):
                    added = owner.field.add(name=name, number=number, type=type_, label=label)
                    if number == _FIRST:
                        added.options.CopyFrom(ruleedits.options(of_field))
                if thirdparty.VALIDATE not in file.dependency:
                    file.dependency.append(thirdparty.VALIDATE)
    return Image(tuple(ruleedits.sorted_files(files)), image.own)


@cache
def _class() -> Any:
    pool, _ = ruleedits.classes()
    return GetMessageClass(pool.FindMessageTypeByName("google.protobuf.MessageOptions"))


def _options(rules: str) -> MessageOptions:
    pool, _ = ruleedits.classes()
    made = _class()()
    extension = pool.FindExtensionByName("buf.validate.message")
    text_format.Merge(rules, made.Extensions[extension], descriptor_pool=pool)
    return MessageOptions.FromString(made.SerializeToString())
