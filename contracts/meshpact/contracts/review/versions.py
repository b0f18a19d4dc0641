"""Policies of another version of Meshpact than this one: what they say would go unseen."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from google.protobuf.message import Message
from google.protobuf.unknown_fields import UnknownFieldSet

from meshpact.contracts.faults import Place
from meshpact.contracts.image import Image
from meshpact.contracts.locations import OPTION
from meshpact.policy.v1 import policy_pb2 as pb

_PACKAGE = "meshpact/policy/"
_KNOWN = f"{_PACKAGE}v1/policy.proto"


def newer_policies(image: Image) -> list[tuple[Place, str]]:
    """Where the user's own files say what this Meshpact has no word for, and what it is."""
    return [
        (image.place(file.name), text)
        for file in image.own_files
        if file.name != _KNOWN
        for text in (
            *(
                f"imports {name}"
                for name in file.dependency
                if name.startswith(_PACKAGE) and name != _KNOWN
            ),
            *(
                text
                for service in file.service
                for text in (
                    *_in_policy(service.name, service.options.Extensions[pb.service]),
                    *(
                        text
                        for method in service.method
                        for text in _in_policy(
                            f"{service.name}/{method.name}", method.options.Extensions[pb.method]
                        )
                    ),
                )
            ),
        )
    ]


def _in_policy(name: str, policy: pb.Policy) -> Iterator[str]:
    for part in dict.fromkeys(_unknown(policy, "policy")):
        yield f"{name}: {part} (option {OPTION})"


def _unknown(message: Message, where: str) -> Iterator[str]:
    unknown = UnknownFieldSet(message)
    for index in range(len(unknown)):
        yield f"{where} has a field {unknown[index].field_number}"
    for field, value in message.ListFields():
        here = f"{where}.{field.name}"
        several: list[Any] = list(value) if field.is_repeated else [value]
        for each in several:
            if field.message_type is not None:
                yield from _unknown(each, here)
            elif field.enum_type is not None and each not in field.enum_type.values_by_number:
                yield f"{here} has the value {each}"
