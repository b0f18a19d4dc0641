"""Messages as text for logs: what the contract marks `debug_redact` stays out.

`str(message)` prints everything; `redacted(message)` is what may be written down.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Collection, Iterable, Mapping, MutableSequence, Sequence, Set
from typing import Any, Final, cast

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

REDACTED: Final = "[redacted]"
LONGEST: Final = 2000
"""Characters; what is longer is cut."""

_OPAQUE: Final = frozenset({"google.protobuf.Any"})
_IN_WORDS: Final = frozenset({"google.protobuf.Timestamp", "google.protobuf.Duration"})


def redacted(message: Message, *, longest: int = LONGEST) -> str:
    """A message as one line of JSON, by the names of the contract.

    Fields marked `debug_redact` are "[redacted]", with all that is in them; of bytes the length is
    told, of an Any the type; fields that the contract does not know are left out.
    """
    text = f"{message.DESCRIPTOR.name}{json.dumps(plain(message), ensure_ascii=False)}"
    return text if len(text) <= longest else f"{text[:longest]}... ({len(text)} characters)"


def plain(message: Message) -> object:
    """A message as objects for JSON, redacted as in `redacted`."""
    name = message.DESCRIPTOR.full_name
    if name in _IN_WORDS:
        with contextlib.suppress(ValueError):  # what no calendar has is told in its parts
            return cast("Any", message).ToJsonString()
    if name in _OPAQUE:
        return {"type_url": cast("Any", message).type_url}
    return {field.name: _field(field, value) for field, value in message.ListFields()}


def loggable(value: object) -> object:
    """A value as it may be logged: messages are redacted, also those in lists and maps."""
    if isinstance(value, Message):
        return redacted(value)
    if isinstance(value, Mapping):
        entries = cast("Mapping[object, object]", value)
        told = {key: loggable(each) for key, each in entries.items()}
        return told if _differ(entries.values(), told.values()) else cast("object", value)
    if isinstance(value, tuple | Set | MutableSequence) and not isinstance(value, bytearray):
        parts = cast("Collection[object]", value)
        shown = [loggable(each) for each in parts]
        if _differ(parts, shown):
            return tuple(shown) if isinstance(value, tuple) else shown
        return parts
    return value


def _differ(parts: Iterable[object], shown: Iterable[object]) -> bool:
    return any(part is not each for part, each in zip(parts, shown, strict=True))


def _field(field: FieldDescriptor, value: Any) -> object:
    if field.GetOptions().debug_redact:
        return REDACTED
    kind = field.message_type
    if kind is not None and kind.GetOptions().map_entry:
        of = kind.fields_by_name["value"]
        entries = cast("Mapping[object, object]", value)
        return {str(key): _field(of, each) for key, each in entries.items()}
    if field.is_repeated:
        return [_single(field, each) for each in cast("Sequence[object]", value)]
    return _single(field, value)


def _single(field: FieldDescriptor, value: Any) -> object:
    if field.message_type is not None:
        return plain(value)
    if field.enum_type is not None:
        known = field.enum_type.values_by_number.get(value)
        return value if known is None else known.name
    if isinstance(value, bytes):
        return f"[{len(value)} bytes]"
    return value
