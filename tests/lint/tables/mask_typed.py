"""MP144: masks of fields are FieldMasks."""

from __future__ import annotations

from typing import Final

from lint.cases import Case


def _field(written: str) -> str:
    return f"message Shop {{ {written} }}"


UPDATE = "update_mask is no google.protobuf.FieldMask"

CASES: Final = (
    Case("a FieldMask is right", _field("google.protobuf.FieldMask update_mask = 1;")),
    Case("names in a list are found", _field("@@repeated string update_mask = 1;"), (UPDATE,)),
    Case("names in a text are found", _field("@@string update_mask = 1;"), (UPDATE,)),
    Case(
        "several FieldMasks are found",
        _field("@@repeated google.protobuf.FieldMask read_mask = 1;"),
        ("read_mask is no google.protobuf.FieldMask",),
    ),
    Case("a mask of bits is none", _field("fixed32 subnet_mask = 1;")),
)
