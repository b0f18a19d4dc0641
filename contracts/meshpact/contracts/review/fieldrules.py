"""The rules of buf.validate on a field, a oneof or a message, read from descriptors of any image.

The messages of buf/validate/validate.proto are made from the installed copy of it: rules stand in
options as bytes that no module of ours knows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
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
_IGNORE_ALWAYS: Final = 3
_HOLDERS: Final = {
    "field": "FieldOptions",
    "oneof": "OneofOptions",
    "message": "MessageOptions",
    "predefined": "FieldOptions",
}


def rules_of(options: Message, kind: str) -> Any:
    """The rules in the options of a `field`, `oneof` or `message`, or those that an extension is
    (`predefined`); None where there are none."""
    content = options.SerializeToString()
    if not content:
        return None
    known, extension = _options(kind)
    parsed = known.FromString(content)
    return parsed.Extensions[extension] if parsed.HasExtension(extension) else None


def ignored(rules: Any) -> bool:
    """Whether a field is not judged at all, nor what is in it."""
    return rules is not None and bool(rules.ignore == _IGNORE_ALWAYS)


def field_options(**typed: Any) -> descriptor_pb2.FieldOptions:
    """The options of a field with rules of one kind: `string=rules`."""
    known, extension = _options("field")
    options: Any = known()
    for kind, rules in typed.items():
        getattr(options.Extensions[extension], kind).CopyFrom(rules)
    return descriptor_pb2.FieldOptions.FromString(options.SerializeToString())


def message_options(expression: str) -> descriptor_pb2.MessageOptions:
    """The options of a message with one rule in CEL."""
    known, extension = _options("message")
    options: Any = known()
    options.Extensions[extension].cel.add(id="rule", message="is not so", expression=expression)
    return descriptor_pb2.MessageOptions.FromString(options.SerializeToString())


def shown(rules: Any, known: Predefined | None = None) -> str:
    """Rules on one line as a contract writes them; "none" for none."""
    if rules is None:
        return "none"
    texts = [text_format.MessageToString(rules, as_one_line=True).strip()]
    for name, said in foreign(rules, known or {}).items():
        told = ", ".join(each if isinstance(each, str) else repr(each) for each in said)
        texts.append(f"[{name}]: {told}")
    return " ".join(filter(None, texts)) or "none"


def predefined(options: Message) -> tuple[str, ...] | None:
    """The expressions of a predefined rule in the options of an extension; None where it is none,
    or says nothing."""
    rules = rules_of(options, "predefined")
    return tuple(sorted({rule.expression for rule in rules.cel})) if rules is not None else None


Predefined = Mapping[tuple[str, int], tuple[str, tuple[str, ...]]]
"""The name and the expressions of predefined rules, by the name of the rules that they extend and
their number there."""


def foreign(rules: Any, known: Predefined) -> dict[str, tuple[object, ...]]:
    """What rules say that the installed buf.validate has no word for: what it says and means, by
    name. Predefined rules are `known`; those of a newer buf.validate can be compared for being the
    same only."""
    return dict(_foreign(rules, known)) if rules is not None else {}


def _foreign(rules: Any, known: Predefined) -> Iterator[tuple[str, tuple[object, ...]]]:
    whose = rules.DESCRIPTOR.full_name
    said: dict[int, list[object]] = {}
    unknown = UnknownFieldSet(rules)
    for index in range(len(unknown)):
        said.setdefault(unknown[index].field_number, []).append(_plain(unknown[index].data))
    for number, values in said.items():
        name, expressions = known.get((whose, number), (f"{whose} {number}", ()))
        yield name, (*values, *expressions)
    for field, value in rules.ListFields():
        if field.message_type is not None and not field.is_repeated:
            yield from ((f"{field.name} {name}", each) for name, each in _foreign(value, known))


def _plain(data: Any) -> object:
    """A value of a field that nobody knows; groups by their fields."""
    if isinstance(data, UnknownFieldSet):
        return tuple((data[n].field_number, _plain(data[n].data)) for n in range(len(data)))
    return data


@cache
def _options(kind: str) -> tuple[type[Message], Any]:
    pool = _pool()
    found = pool.FindMessageTypeByName(f"google.protobuf.{_HOLDERS[kind]}")
    extension = pool.FindExtensionByName(f"buf.validate.{kind}")
    return message_factory.GetMessageClass(found), extension


@cache
def _pool() -> descriptor_pool.DescriptorPool:
    pool = descriptor_pool.DescriptorPool()
    for module in (descriptor_pb2, duration_pb2, field_mask_pb2, timestamp_pb2):
        pool.AddSerializedFile(module.DESCRIPTOR.serialized_pb)
    pool.AddSerializedFile(thirdparty.validate_descriptor().SerializeToString())
    return pool
