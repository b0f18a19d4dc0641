"""What the vocabulary of options offers in place of a name that it does not have."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Final

from meshpact.contracts import thirdparty
from meshpact.policy.v1 import policy_pb2

_FILE: Final = policy_pb2.DESCRIPTOR


def instead_of_field(type_name: str, name: str) -> str:
    """For a field that the message `type_name` (a full name) does not have: one of ours, of
    Google's or of buf.validate; "" for another's."""
    fields = _fields(type_name)
    return _instead(name, type_name.rpartition(".")[2], fields) if fields else ""


def _fields(type_name: str) -> list[str]:
    try:
        return [field.name for field in _FILE.pool.FindMessageTypeByName(type_name).fields]
    except KeyError:
        return [
            field.name
            for file in thirdparty.descriptors().file
            for message in file.message_type
            if type_name == f"{file.package}.{message.name}"
            for field in message.field
        ]


def instead_of_value(field_name: str, name: str) -> str:
    """For an enum value that the field `field_name` of some message of ours does not take."""
    for message in _FILE.message_types_by_name.values():
        for field in message.fields:
            if field.name == field_name and field.enum_type is not None:
                values = [v.name for v in field.enum_type.values if v.number]
                return _instead(name, field.enum_type.name, values)
    return ""


def _instead(name: str, owner: str, known: Sequence[str]) -> str:
    offer = f"{owner} has {', '.join(known)}"
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    if not close:
        return offer
    return f"did you mean {close[0]}?" + (f" {offer}" if len(known) <= _FEW else "")


_FEW: Final = 12
"""Names that are all told, though one is like what was written."""
