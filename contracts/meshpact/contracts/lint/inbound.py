"""Which messages callers send: requests, and everything inside them."""

from __future__ import annotations

from google.protobuf.descriptor_pb2 import FieldDescriptorProto

from meshpact.contracts.model import Contracts

_MESSAGES = (FieldDescriptorProto.TYPE_MESSAGE, FieldDescriptorProto.TYPE_GROUP)


def inbound(contracts: Contracts) -> frozenset[str]:
    """The full names of the messages that the methods of own services take, at any depth."""
    messages = contracts.messages
    waiting = [
        method.proto.input_type
        for file in contracts.files
        for service in file.services
        for method in service.methods
    ]
    found: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name in found or name not in messages:
            continue
        found.add(name)
        waiting += [field.type_name for field in messages[name][1].field if field.type in _MESSAGES]
    return frozenset(name.lstrip(".") for name in found)
