"""Texts with a zero character (U+0000): a fault of the request, told with its field.

UTF-8 and protobuf have room for it, Postgres and every program in C do not: what one database
would store the other would refuse, without a word about the field. Bytes fields hold anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any, Final

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from meshpact.interceptors.errors import FieldViolation, StatusError, invalid_request

MAX_TOLD: Final = 16
"""Faults told of one request; trailing metadata must stay small."""
REASON: Final = "STRING_ZERO_CHARACTER"
_WORDS: Final = "must not contain a zero character"

Check = Callable[[Message], "StatusError | None"]


def compile_zero_check(descriptor: Descriptor) -> Check | None:
    """The check of one message type; None when no text can be in it.

    To be asked only about a message with a zero among its bytes: `0 in body` costs next to nothing.
    """
    if not _has_text(descriptor, set()):
        return None

    def check(message: Message) -> StatusError | None:
        found = list(islice(_paths(message, ""), MAX_TOLD))
        if not found:
            return None
        return invalid_request([FieldViolation(path, _WORDS, REASON) for path in found])

    return check


def _has_text(descriptor: Descriptor, seen: set[str]) -> bool:
    if descriptor.full_name in seen:
        return False
    seen.add(descriptor.full_name)
    return any(
        field.type == FieldDescriptor.TYPE_STRING
        or (field.message_type is not None and _has_text(field.message_type, seen))
        for field in descriptor.fields
    )


def _paths(message: Message, above: str) -> Iterator[str]:
    """The paths of the texts in a message that have one, as violations name them."""
    for field, value in message.ListFields():
        path = f"{above}{field.name}"
        kind = field.message_type
        if kind is not None and kind.GetOptions().map_entry:
            yield from _in_map(kind.fields_by_name["value"], value, path)
        elif kind is None and field.type != FieldDescriptor.TYPE_STRING:
            continue
        elif field.is_repeated:
            for index, item in enumerate(value):
                yield from _in_value(item, f"{path}[{index}]")
        else:
            yield from _in_value(value, path)


def _in_map(field: FieldDescriptor, entries: Any, path: str) -> Iterator[str]:
    holds = field.message_type is not None or field.type == FieldDescriptor.TYPE_STRING
    for key in entries:
        if isinstance(key, str) and "\0" in key:
            yield path  # such a key names nothing that could be shown
        elif holds:
            shown = f'"{key}"' if isinstance(key, str) else str(key).lower()
            yield from _in_value(entries[key], f"{path}[{shown}]")


def _in_value(value: Any, path: str) -> Iterator[str]:
    if not isinstance(value, str):
        yield from _paths(value, f"{path}.")
    elif "\0" in value:
        yield path
