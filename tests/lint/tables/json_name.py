"""MP182: the JSON names of fields are those that protobuf gives them."""

from __future__ import annotations

from typing import Final

from lint.cases import Case


def _field(written: str) -> str:
    return f"message Shop {{ {written} }}"


CASES: Final = (
    Case("a field without json_name is right", _field("int32 order_count = 1;")),
    Case(
        "another name is found, at the option",
        _field('int32 order_count = 1 [@@json_name = "count"];'),
        ("its JSON name is 'count', not 'orderCount'",),
    ),
    Case(
        "the canonical one spelled out is right",
        _field('int32 order_count = 1 [json_name = "orderCount"];'),
    ),
    Case(
        "the field's own name is found, too",
        _field('int32 order_count = 1 [@@json_name = "order_count"];'),
        ("its JSON name is 'order_count', not 'orderCount'",),
    ),
    Case("digits stay", _field("int32 line_2_size = 1;")),
    Case("underscores at the ends go", _field("int32 _odd__name_ = 1;")),
)
