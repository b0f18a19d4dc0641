"""An image as live descriptors: messages can be made of its types, and validation rules read.

All of it stands in a pool of its own, so that contracts cannot meet modules of this process.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import protovalidate
from google.protobuf import descriptor_pool, message_factory
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor, OneofDescriptor
from google.protobuf.message import Message

from meshpact.contracts import thirdparty
from meshpact.contracts.image import Image

IGNORE_ALWAYS = 3
"""buf.validate.Ignore.IGNORE_ALWAYS."""


class Known:
    """The types of an image."""

    def __init__(self, image: Image) -> None:
        self.pool = descriptor_pool.DescriptorPool()
        for file in image.files:
            self.pool.AddSerializedFile(file.SerializeToString())
        self.validator = protovalidate.Validator()
        self._demanded: dict[str, frozenset[str]] = {}
        self._has_rules = any(file.name == thirdparty.VALIDATE for file in image.files)

    def message(self, full_name: str) -> Descriptor:
        """A message type by its full name, without a leading dot."""
        return self.pool.FindMessageTypeByName(full_name)

    def enum(self, full_name: str) -> EnumDescriptor:
        """An enum by its full name, without a leading dot."""
        return self.pool.FindEnumTypeByName(full_name)

    def make(self, descriptor: Descriptor) -> Message:
        """An empty message of a type."""
        return message_factory.GetMessageClass(descriptor)()

    def demanded(self, descriptor: Descriptor) -> frozenset[str]:
        """The fields of a message that must be there: without them it breaks a rule of theirs."""
        name = descriptor.full_name
        if name not in self._demanded:
            found: set[str] = {field.name for field in descriptor.fields if field.is_required}
            try:
                broken = self.validator.collect_violations(self.make(descriptor))
            except (protovalidate.CompilationError, protovalidate.EvaluationError):
                broken = []
            for violation in broken:
                path = violation.proto.field
                if path is not None and len(path.elements) == 1:
                    found.add(path.elements[0].field_name)
            self._demanded[name] = frozenset(found & set(descriptor.fields_by_name))
        return self._demanded[name]

    def field_rules(self, field: FieldDescriptor) -> Any:
        """The buf.validate.FieldRules of a field that count, None for none."""
        rules = self._rules(field, "Field", "field")
        return None if rules is None or rules.ignore == IGNORE_ALWAYS else rules

    def message_rules(self, message: Descriptor) -> Any:
        """The buf.validate.MessageRules of a message, None for none."""
        return self._rules(message, "Message", "message")

    def oneof_required(self, oneof: OneofDescriptor) -> bool:
        """Whether one of its fields must be set."""
        rules = self._rules(oneof, "Oneof", "oneof")
        return rules is not None and bool(rules.required)

    def _rules(self, thing: Any, kind: str, name: str) -> Any:
        if not self._has_rules or not thing.has_options:
            return None
        options, extension = self._extensions[kind]
        read: Any = options.FromString(thing.GetOptions().SerializeToString())
        return read.Extensions[extension] if read.HasExtension(extension) else None

    @cached_property
    def _extensions(self) -> dict[str, tuple[type[Message], Any]]:
        found: dict[str, tuple[type[Message], Any]] = {}
        for kind in ("Field", "Message", "Oneof"):
            options = self.pool.FindMessageTypeByName(f"google.protobuf.{kind}Options")
            extension = self.pool.FindExtensionByName(f"buf.validate.{kind.lower()}")
            found[kind] = message_factory.GetMessageClass(options), extension
        return found


def is_map(field: FieldDescriptor) -> bool:
    """Whether a field is a map."""
    return (
        field.is_repeated
        and field.message_type is not None
        and bool(field.message_type.GetOptions().map_entry)
    )


def real_oneof(field: FieldDescriptor) -> OneofDescriptor | None:
    """The oneof that the author wrote around a field; `optional` makes one that nobody wrote."""
    oneof = field.containing_oneof
    if oneof is None or (len(oneof.fields) == 1 and oneof.name.startswith("_")):
        return None
    return oneof
