"""Edits of the field rules of a contract, and the requests that tell the old ones from the new."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any, Final

from google.protobuf import text_format, timestamp_pb2
from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    FieldDescriptorProto,
    FieldOptions,
    FileDescriptorProto,
)
from google.protobuf.descriptor_pool import Default, DescriptorPool
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message_factory import GetMessageClass
from google.protobuf.wrappers_pb2 import Int32Value

from meshpact.contracts import thirdparty
from meshpact.contracts.docs.examples import Examples
from meshpact.contracts.docs.known import Known
from meshpact.contracts.image import Image
from review.guardworld import Contracts
from review.rulechanges import FIELDS, assign

_F = FieldDescriptorProto
_ASSIGNMENT: Final = re.compile(r"([a-z0-9_.]+) = (.*)", re.DOTALL)
_PROBE: Final = 5000
_PLAIN: Final = {"int32": _F.TYPE_INT32, "double": _F.TYPE_DOUBLE, "string": _F.TYPE_STRING}
_PLAIN_MORE: Final = {"bytes": _F.TYPE_BYTES, "bool": _F.TYPE_BOOL}


Bodies = tuple[bytes, ...]
"""Requests to try."""
_ONEOF_REQUIRED: Final = b"\xba\x48\x02\x08\x01"
"""OneofOptions with (buf.validate.oneof).required."""


# Rules --------------------------------------------------------------------------------------------


@cache
def classes() -> tuple[DescriptorPool, Any]:
    """A pool with buf.validate, and options of fields there."""
    pool = DescriptorPool()
    needed = ("descriptor", "duration", "timestamp", "field_mask")
    for name in needed:
        file = Default().FindFileByName(f"google/protobuf/{name}.proto")
        pool.AddSerializedFile(file.serialized_pb)
    pool.AddSerializedFile(thirdparty.validate_descriptor().SerializeToString())
    return pool, GetMessageClass(pool.FindMessageTypeByName("google.protobuf.FieldOptions"))


def options(rules: str) -> FieldOptions:
    """Options from rules as `Field.rules` writes them, "" for none."""
    pool, options_class = classes()
    made = options_class()
    extension = pool.FindExtensionByName("buf.validate.field")
    for part in filter(None, rules.split(", (buf.validate.field).")):
        match = _ASSIGNMENT.fullmatch(part)
        assert match is not None, part
        *above, last = match[1].split(".")
        text = "".join(f"{each} {{ " for each in above) + f"{last}: {match[2]}" + " }" * len(above)
        text_format.Merge(text, made.Extensions[extension], descriptor_pool=pool)
    return FieldOptions.FromString(made.SerializeToString())


# Fields that are there for rules alone ------------------------------------------------------------


def probe(image: Image, chance: random.Random) -> tuple[str, Image, Image, dict[str, Bodies]]:
    """Puts a new field into a request on both sides, with other rules on each or, where it can be
    told to be absent on one side only, the same; says what it did, and requests that differ in the
    field alone."""
    if chance.random() < 0.1:
        return _probe_oneof(image, chance)
    field = chance.choice(FIELDS)
    before, after = chance.sample(list(field.rules), 2)
    types = [field.type, field.type]
    if field.name in ("numbers", "optional_numbers") and chance.random() < 0.4:
        before = after = chance.choice([before, after])
        types = chance.sample(["int32", "optional int32"], 2)
    name, message = any_request(image, chance)
    old = _with_probe(image, message, types[0], before)
    new = _with_probe(image, message, types[1], after)
    text = f"{message}: {types[0]} [{before}] -> {types[1]} [{after}]"
    found: dict[bytes, None] = {}
    for side, type_ in zip((old, new), types, strict=True):  # one of both may not send a zero
        make = Contracts(side).spec(name).request
        base = example(image, make.DESCRIPTOR.full_name)
        for value in (None, *field.values):
            request = make.FromString(base)
            assign(request, "probe", type_, value)
            found[request.SerializeToString()] = None
    return text, old, new, {name: tuple(found)}


def _probe_oneof(
    image: Image, chance: random.Random
) -> tuple[str, Image, Image, dict[str, Bodies]]:
    """A oneof that must be set on one side."""
    name, message = any_request(image, chance)
    demanded = chance.sample([False, True], 2)
    old, new = (_with_probe(image, message, "oneof", "required" if d else "") for d in demanded)
    make = Contracts(new).spec(name).request
    base = example(image, make.DESCRIPTOR.full_name)
    found = [base]
    values: tuple[tuple[str, str | int], ...] = (("probe", ""), ("probe", "x"), ("probe_other", 0))
    for member, value in values:
        request = make.FromString(base)
        setattr(request, member, value)
        found.append(request.SerializeToString())
    return f"{message}: oneof required {demanded}", old, new, {name: tuple(found)}


def any_request(image: Image, chance: random.Random) -> tuple[str, str]:
    """A method and its request, which no other method takes."""
    names = sorted(
        (f"{file.package}.{service.name}/{method.name}", method.input_type)
        for file in image.own_files
        for service in file.service
        for method in service.method
        if method.input_type.startswith(f".{file.package}.")
    )
    return chance.choice(names)


def _with_probe(image: Image, message: str, kind: str, rules: str) -> Image:
    files = [copied(each) for each in image.files]
    known = {each.name for each in files}
    for module in (Duration, Int32Value, timestamp_pb2.Timestamp):
        needed = module.DESCRIPTOR.file
        if needed.name not in known:
            files.insert(0, FileDescriptorProto.FromString(needed.serialized_pb))
            known.add(needed.name)
    for file in files:
        for owner in file.message_type:
            if f".{file.package}.{owner.name}" == message:
                _add_probe(file, owner, kind, rules)
                wanted = ("duration", "wrappers")
                for each in (f"google/protobuf/{name}.proto" for name in wanted):
                    if each not in file.dependency:
                        file.dependency.append(each)
                if thirdparty.VALIDATE not in file.dependency:
                    file.dependency.append(thirdparty.VALIDATE)
    return Image(tuple(sorted_files(files)), image.own)


def sorted_files(files: Sequence[FileDescriptorProto]) -> Iterator[FileDescriptorProto]:
    """Each after what it imports."""
    left = {file.name: file for file in files}

    def visit(name: str) -> Iterator[FileDescriptorProto]:
        file = left.pop(name, None)
        if file is not None:
            for each in file.dependency:
                yield from visit(each)
            yield file

    for file in files:
        yield from visit(file.name)


def _add_probe(file: FileDescriptorProto, owner: DescriptorProto, kind: str, rules: str) -> None:
    added = owner.field.add(name="probe", number=_PROBE, label=_F.LABEL_OPTIONAL)
    if kind == "oneof":
        added.type, added.oneof_index = _F.TYPE_STRING, len(owner.oneof_decl)
        other = owner.field.add(name="probe_other", number=_PROBE + 1, label=_F.LABEL_OPTIONAL)
        other.type, other.oneof_index = _F.TYPE_INT32, len(owner.oneof_decl)
        made = owner.oneof_decl.add(name="probe_oneof")
        made.options.MergeFromString(_ONEOF_REQUIRED if rules else b"")
        return
    if kind.startswith("optional "):
        kind = kind.removeprefix("optional ")
        added.proto3_optional = True
        added.oneof_index = len(owner.oneof_decl)
        owner.oneof_decl.add(name="_probe")
    elif kind.startswith("repeated "):
        kind = kind.removeprefix("repeated ")
        added.label = _F.LABEL_REPEATED
    if kind in _PLAIN or kind in _PLAIN_MORE:
        added.type = {**_PLAIN, **_PLAIN_MORE}[kind]
    elif kind == "map<string, int32>":
        entry = owner.nested_type.add(name="ProbeEntry")
        entry.options.map_entry = True
        entry.field.add(name="key", number=1, label=_F.LABEL_OPTIONAL, type=_F.TYPE_STRING)
        entry.field.add(name="value", number=2, label=_F.LABEL_OPTIONAL, type=_F.TYPE_INT32)
        added.label, added.type = _F.LABEL_REPEATED, _F.TYPE_MESSAGE
        added.type_name = f".{file.package}.{owner.name}.ProbeEntry"
    elif kind == "Kind":
        enum = owner.enum_type.add(name="Kind")
        for number, name in enumerate(("PROBE_UNSPECIFIED", "PROBE_ONE", "PROBE_TWO")):
            enum.value.add(name=name, number=number)
        added.type, added.type_name = _F.TYPE_ENUM, f".{file.package}.{owner.name}.Kind"
    else:
        added.type, added.type_name = _F.TYPE_MESSAGE, f".{kind}"
    added.options.CopyFrom(options(rules))


# Requests -----------------------------------------------------------------------------------------

_made: Final[dict[int, tuple[Image, Known, Examples]]] = {}


class NoExample(Exception):
    """No request is known that keeps to all rules: nothing could be told by changing it."""


def example(image: Image, message: str) -> bytes:
    """A request that keeps to all rules."""
    if id(image) not in _made:
        known = Known(image)
        _made[id(image)] = image, known, Examples(known)
    _, known, examples = _made[id(image)]
    made = examples.of(known.message(message))
    if not made.valid:
        raise NoExample
    found: bytes = made.value.SerializeToString()
    return found


def with_copy(image: Image, at: int) -> list[FileDescriptorProto]:
    """The files of an image, one of them to be edited."""
    return [copied(file) if index == at else file for index, file in enumerate(image.files)]


def copied(file: FileDescriptorProto) -> FileDescriptorProto:
    """A file that is one's own."""
    copy = FileDescriptorProto()
    copy.CopyFrom(file)
    return copy
