"""A message as the Python expression that makes it."""

from __future__ import annotations

import keyword
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from meshpact.contracts import names
from meshpact.contracts.docs.known import is_map
from meshpact.contracts.layout import Group, Node, literal


class Expressions:
    """Writes expressions and remembers the modules that they need (`acme.v1.a_pb2`)."""

    def __init__(self) -> None:
        self.modules: set[str] = set()

    def of(self, message: Message) -> Group:
        """`inventory_pb2.GetStockRequest(sku="A1B2C3")`."""
        descriptor: Any = message.DESCRIPTOR
        plain: list[Node] = []
        odd: list[Node] = []
        for field, value in message.ListFields():
            written = self._value(field, value)
            if keyword.iskeyword(field.name):  # no argument can be called so
                odd.append(_after(f"{literal(field.name)}: ", written))
            else:
                plain.append(_after(f"{field.name}=", written))
        if odd:
            plain.append(Group("**{", odd, "}"))
        return Group(f"{self._type(descriptor)}(", plain, ")")

    def _value(self, field: FieldDescriptor, value: Any) -> Node:
        if is_map(field):
            assert field.message_type is not None
            key, each = (field.message_type.fields_by_name[name] for name in ("key", "value"))
            pairs = [
                _after(f"{self._scalar(key, name)}: ", self._single(each, value[name]))
                for name in sorted(value)
            ]
            return Group("{", pairs, "}")
        if field.is_repeated:
            return Group("[", [self._single(field, each) for each in value], "]")
        return self._single(field, value)

    def _single(self, field: FieldDescriptor, value: Any) -> Node:
        return self.of(value) if field.message_type is not None else self._scalar(field, value)

    def _scalar(self, field: FieldDescriptor, value: Any) -> str:
        if field.enum_type is not None:
            return self._enum(field, value)
        return literal(value) if isinstance(value, str) else repr(value)

    def _enum(self, field: FieldDescriptor, number: int) -> str:
        enum = field.enum_type
        assert enum is not None
        name = next((value.name for value in enum.values if value.number == number), "")
        if not name or keyword.iskeyword(name):
            return str(number)
        if enum.containing_type is not None:
            return f"{self._type(enum.containing_type)}.{name}"
        return f"{self._module(enum.file.name)}.{name}"

    def _type(self, descriptor: Descriptor) -> str:
        package = descriptor.file.package
        inner = descriptor.full_name.removeprefix(f"{package}." if package else "")
        module = self._module(descriptor.file.name)
        if any(keyword.iskeyword(part) for part in inner.split(".")):
            parts = inner.split(".")
            written = module
            for part in parts:
                written = f"getattr({written}, {literal(part)})"
            return written
        return f"{module}.{inner}"

    def _module(self, proto: str) -> str:
        module = names.module(proto, "_pb2")
        self.modules.add(module)
        return module.rpartition(".")[2]


def _after(head: str, node: Node) -> Node:
    """A node with text before it."""
    if isinstance(node, str):
        return head + node
    return Group(head + node.head, node.items, node.tail, node.display)
