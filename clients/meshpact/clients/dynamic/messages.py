"""JSON in, JSON out: the requests a person types and the responses they read."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import cast

from google.protobuf.descriptor import Descriptor
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.json_format import MessageToJson, ParseDict, ParseError
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from meshpact.clients.dynamic.errors import UseError

_DECODER = json.JSONDecoder()


def parsed(chunks: Iterable[str], kind: Descriptor, pool: DescriptorPool) -> Iterator[Message]:
    """The messages in a text of JSON objects one after the other, as soon as each is complete.

    UseError says what is wrong with the one that is no message of this kind.
    """
    message_class = GetMessageClass(kind)
    for number, value in enumerate(_values(chunks), 1):
        if not isinstance(value, dict):
            raise UseError(f"message {number} is no JSON object: write fields in braces.")
        try:
            fields = cast("dict[str, object]", value)
            yield ParseDict(fields, message_class(), descriptor_pool=pool)
        except ParseError as error:
            raise UseError(
                f"message {number} is no {kind.full_name}: {_first_line(error)}. "
                f"Its fields: {', '.join(field.json_name for field in kind.fields) or 'none'}."
            ) from None


def shown(message: Message, pool: DescriptorPool, *, indent: int | None) -> str:
    """A message as ProtoJSON, names in lowerCamelCase, default values left out."""
    return MessageToJson(message, indent=indent, descriptor_pool=pool, ensure_ascii=False)


def _values(chunks: Iterable[str]) -> Iterator[object]:
    """Every JSON value of a text that comes in pieces; UseError for what is no JSON."""
    buffer = ""
    for chunk in chunks:
        buffer += chunk
        while buffer := buffer.lstrip():
            try:
                value, end = _DECODER.raw_decode(buffer)
            except json.JSONDecodeError as error:
                if error.pos < len(buffer.rstrip()) and not _unfinished(buffer, error):
                    raise _no_json(error) from None
                break
            buffer = buffer[end:]
            yield value
    if buffer.strip():
        try:
            json.loads(buffer)
        except json.JSONDecodeError as error:
            raise _no_json(error) from None


def _first_line(error: ParseError) -> str:
    """Without protobuf's own list of fields, which stands on a second line."""
    return str(error).partition("\n")[0].strip().rstrip(".")


def _unfinished(text: str, error: json.JSONDecodeError) -> bool:
    """Whether more text could still make the JSON whole."""
    return error.msg.startswith("Unterminated") or not text[error.pos :].strip()


def _no_json(error: json.JSONDecodeError) -> UseError:
    return UseError(
        f"the data is no JSON: {error.msg} at line {error.lineno}, column {error.colno}. "
        """Write an object, such as {"name": "value"}."""
    )
