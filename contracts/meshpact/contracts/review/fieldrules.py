"""The rules of buf.validate on a field, a oneof or a message, read from descriptors of any image.

The messages of buf/validate/validate.proto are made from the installed copy of it: rules stand in
options as bytes that no module of ours knows.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any, Final

from google.protobuf import (
    descriptor_pb2,
    descriptor_pool,
    duration_pb2,
    field_mask_pb2,
    message_factory,
    text_format,
    timestamp_pb2,
)
from google.protobuf.message import Message
from google.protobuf.unknown_fields import UnknownFieldSet

from meshpact.contracts import thirdparty

NUMBER: Final = 1159
"""Field number of buf.validate's options, the same on messages, oneofs and fields."""


def rules_of(options: Message, kind: str) -> Any:
    """The rules in the options of a `field`, `oneof` or `message`; None where there are none."""
    content = options.SerializeToString()
    if not content:
        return None
    known, extension = _options(kind)
    parsed = known.FromString(content)
    return parsed.Extensions[extension] if parsed.HasExtension(extension) else None


def field_options(**typed: Any) -> descriptor_pb2.FieldOptions:
    """The options of a field with rules of one kind: `string=rules`."""
    known, extension = _options("field")
    options: Any = known()
    for kind, rules in typed.items():
        getattr(options.Extensions[extension], kind).CopyFrom(rules)
    return descriptor_pb2.FieldOptions.FromString(options.SerializeToString())


def shown(rules: Any) -> str:
    """Rules on one line as a contract writes them; "none" for none."""
    if rules is None:
        return "none"
    return text_format.MessageToString(rules, as_one_line=True).strip() or "none"


def foreign(rules: Any) -> tuple[bytes, ...]:
    """What rules say that the installed buf.validate has no word for (predefined rules, newer
    ones); it can be compared for being the same only."""
    return tuple(sorted(_foreign(rules))) if rules is not None else ()


def _foreign(rules: Any) -> Iterator[bytes]:
    if len(UnknownFieldSet(rules)):
        bare = type(rules)()
        bare.CopyFrom(rules)
        for field, _ in rules.ListFields():
            bare.ClearField(field.name)
        yield bare.SerializeToString()
    for field, value in rules.ListFields():
        if field.message_type is not None and not field.is_repeated:
            yield from _foreign(value)


@cache
def _options(kind: str) -> tuple[type[Message], Any]:
    pool = _pool()
    name = {"field": "FieldOptions", "oneof": "OneofOptions", "message": "MessageOptions"}[kind]
    found = pool.FindMessageTypeByName(f"google.protobuf.{name}")
    extension = pool.FindExtensionByName(f"buf.validate.{kind}")
    return message_factory.GetMessageClass(found), extension


@cache
def _pool() -> descriptor_pool.DescriptorPool:
    pool = descriptor_pool.DescriptorPool()
    for module in (descriptor_pb2, duration_pb2, field_mask_pb2, timestamp_pb2):
        pool.AddSerializedFile(module.DESCRIPTOR.serialized_pb)
    pool.AddSerializedFile(thirdparty.validate_descriptor().SerializeToString())
    return pool
