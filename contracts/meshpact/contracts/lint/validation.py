"""The rules of buf.validate on fields, read from descriptors of any image.

The messages of buf/validate/validate.proto are made from the image's own copy of it: rules stand in
options as bytes that no module of ours knows.
"""

from __future__ import annotations

import re
from functools import cached_property
from typing import Any, Final

from google.protobuf import descriptor_pool, message_factory
from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
)
from google.protobuf.message import Message

from meshpact.contracts import thirdparty
from meshpact.contracts.image import Image
from meshpact.contracts.lint.prose import words

_IGNORE_ALWAYS: Final = 3
_STRINGS: Final = ("const", "len", "max_len", "len_bytes", "max_bytes", "in")
_BYTES: Final = ("const", "len", "max_len", "in", "ip", "ipv4", "ipv6", "uuid")
_SHORT: Final = frozenset(
    words(
        "uuid tuuid ulid ip ipv4 ipv6 hostname host_and_port address ip_prefix ipv4_prefix "
        "ipv6_prefix ip_with_prefixlen ipv4_with_prefixlen ipv6_with_prefixlen"
    )
)
"""Formats of strings that have a longest form."""

_NEUTRAL: Final = re.compile(r"\\.|\[(?:\\.|[^\]\\])*\]", re.DOTALL)
_ENDLESS: Final = re.compile(r"[*+]|\{\d+,\}")


class Validation:
    """Answers what the rules of a field bound."""

    def __init__(self, image: Image) -> None:
        self._files = {file.name: file for file in image.files}

    def bounds_length(self, field: FieldDescriptorProto) -> bool:
        """Whether a string or bytes, or each that a repeated field or a map holds, is bounded."""
        rules = self._rules(field)
        if rules is None:
            return False
        if field.label == FieldDescriptorProto.LABEL_REPEATED:
            if not rules.repeated.HasField("items"):
                return _by_cel(rules)
            rules = rules.repeated.items
        return _bounded(rules) or _by_cel(rules)

    def bounds_count(self, field: FieldDescriptorProto) -> bool:
        """Whether a repeated field or a map has a largest size."""
        rules = self._rules(field)
        return rules is not None and (
            rules.repeated.HasField("max_items")
            or rules.map.HasField("max_pairs")
            or _by_cel(rules)
        )

    def bounds_pairs(self, field: FieldDescriptorProto, part: str) -> bool:
        """Whether the `keys` or the `values` of a map, being strings or bytes, are bounded."""
        rules = self._rules(field)
        return rules is not None and (_bounded(getattr(rules.map, part)) or _by_cel(rules))

    def is_uuid(self, field: FieldDescriptorProto) -> bool:
        """Whether a string is held to be a UUID."""
        rules = self._rules(field)
        return rules is not None and (rules.string.uuid or rules.string.tuuid)

    def of_message(self, message: DescriptorProto) -> str:
        """The CEL expressions that stand on a message, "" for none."""
        if not self._known or not message.HasField("options"):
            return ""
        options = self._message_options.FromString(message.options.SerializeToString())
        extension: Any = self._pool.FindExtensionByName("buf.validate.message")
        rules: Any = options.Extensions[extension]
        return "\n".join(_expressions(rules))

    def _rules(self, field: FieldDescriptorProto) -> Any:
        if not self._known or not field.HasField("options"):
            return None
        options = self._field_options.FromString(field.options.SerializeToString())
        if not options.HasExtension(self._field_extension):
            return None
        rules: Any = options.Extensions[self._field_extension]
        return None if rules.ignore == _IGNORE_ALWAYS else rules

    @cached_property
    def _known(self) -> bool:
        return thirdparty.VALIDATE in self._files

    @cached_property
    def _pool(self) -> descriptor_pool.DescriptorPool:
        pool = descriptor_pool.DescriptorPool()
        added: set[str] = set()

        def add(file: FileDescriptorProto) -> None:
            if file.name not in added:
                added.add(file.name)
                for needed in file.dependency:
                    add(self._files[needed])
                pool.AddSerializedFile(file.SerializeToString())

        add(self._files[thirdparty.VALIDATE])
        return pool

    @cached_property
    def _field_options(self) -> type[Message]:
        found = self._pool.FindMessageTypeByName("google.protobuf.FieldOptions")
        return message_factory.GetMessageClass(found)

    @cached_property
    def _message_options(self) -> type[Message]:
        found = self._pool.FindMessageTypeByName("google.protobuf.MessageOptions")
        return message_factory.GetMessageClass(found)

    @cached_property
    def _field_extension(self) -> Any:
        return self._pool.FindExtensionByName("buf.validate.field")


def _bounded(rules: Any) -> bool:
    kind = rules.WhichOneof("type")
    if kind == "string":
        text = rules.string
        stated = {field.name for field, _ in text.ListFields()}
        if not stated.isdisjoint(_STRINGS) or text.WhichOneof("well_known") in _SHORT:
            return True
        return text.HasField("pattern") and is_bounded(text.pattern)
    if kind == "bytes":
        return any(field.name in _BYTES for field, _ in rules.bytes.ListFields())
    return False


def is_bounded(pattern: str) -> bool:
    """Whether an RE2 pattern takes texts up to some length only, as far as can be told."""
    if not pattern.startswith(("^", r"\A")) or not pattern.endswith(("$", r"\z")):
        return False
    plain = _NEUTRAL.sub("x", pattern)
    depth = 0
    for character in plain:
        depth += (character == "(") - (character == ")")
        if character == "|" and depth == 0:
            return False
    return not _ENDLESS.search(plain)


def _by_cel(rules: Any) -> bool:
    return any("size(" in expression for expression in _expressions(rules))


def _expressions(rules: Any) -> list[str]:
    found = [rule.expression for rule in rules.cel]
    if "cel_expression" in rules.DESCRIPTOR.fields_by_name:
        found += rules.cel_expression
    return found
