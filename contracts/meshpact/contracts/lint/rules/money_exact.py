"""MP183: no floating point for money."""

from __future__ import annotations

import re
from typing import Final

from google.protobuf.descriptor_pb2 import FieldDescriptorProto

from meshpact.contracts.lint.model import Context, Field, Hit, Hits, LintRule
from meshpact.contracts.lint.prose import words

WORDS: Final = words(
    "amount balance bill charge cost credit debit deposit discount fare fee income money "
    "payment payout premium price refund rent revenue salary subsidy subtotal tax total vat "
    "wage"
)
NO_MONEY: Final = words(
    "count factor percent percentage quantity rank rate ratio score share weight seconds days "
    "hours minutes distance volume kg km"
)
"""A last word that says that it is no amount of money: `tax_rate`."""

_FLOATS: Final = (FieldDescriptorProto.TYPE_FLOAT, FieldDescriptorProto.TYPE_DOUBLE)
_DIGITS: Final = re.compile(r"\d+$")


def _find(context: Context, field: Field) -> Hits:
    if field.proto.type not in _FLOATS:
        return
    parts = [_singular(part) for part in field.proto.name.lower().split("_")]
    if parts[-1] not in NO_MONEY and not set(parts).isdisjoint(WORDS):
        kind = "float" if field.proto.type == _FLOATS[0] else "double"
        yield Hit(
            f"{field.proto.name} sounds like money and is a {kind}",
            "use a message of minor units and currency, such as google.type.Money, or a decimal in "
            "a string",
        )


def _singular(word: str) -> str:
    word = _DIGITS.sub("", word)
    return word.removesuffix("s") if word.removesuffix("s") in WORDS else word


RULE = LintRule(
    id="MP183",
    name="money-exact",
    summary="No float or double for amounts of money.",
    why="0.1 has no exact float: sums drift, and books do not balance",
    field=_find,
)
