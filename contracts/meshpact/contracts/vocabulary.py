"""What the policy vocabulary offers in place of a name that it does not have."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Final

from meshpact.policy.v1 import policy_pb2

_FILE: Final = policy_pb2.DESCRIPTOR


def instead_of_field(type_name: str, name: str) -> str:
    """For a field that the message `type_name` (a full name) does not have; "" for another's."""
    short = type_name.removeprefix(f"{_FILE.package}.")
    if short not in _FILE.message_types_by_name:
        return ""
    fields = _FILE.message_types_by_name[short].fields
    return _instead(name, short, [field.name for field in fields])


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
    return f"did you mean {close[0]}? {offer}" if close else offer
