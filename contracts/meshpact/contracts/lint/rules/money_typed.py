"""MP185: amounts of money are google.type.Money."""

from __future__ import annotations

from typing import Final

from google.protobuf.descriptor_pb2 import FieldDescriptorProto

from meshpact.contracts.lint.model import Context, Field, Hit, Hits, LintRule, Message
from meshpact.contracts.lint.plurals import words_of
from meshpact.contracts.lint.prose import words
from meshpact.contracts.lint.rules.money_exact import NO_MONEY, WORDS

SURE: Final = frozenset(
    words("price cost fare fee income money rent revenue salary subtotal tax vat wage surcharge")
)
"""Last words that are said of money alone."""
PARTS: Final = frozenset(
    words("cents cent pence pennies minor micros millis units amount value total sum balance")
)
"""Last words that are said of money behind a word for it: `refund_amount`, `price_cents`."""
CURRENCY: Final = frozenset(words("currency currency_code"))
AMOUNTS: Final = frozenset(
    words("amount units nanos value minor_units cents amount_minor amount_cents micros")
)

_NUMBERS: Final = (
    FieldDescriptorProto.TYPE_INT32,
    FieldDescriptorProto.TYPE_INT64,
    FieldDescriptorProto.TYPE_UINT32,
    FieldDescriptorProto.TYPE_UINT64,
    FieldDescriptorProto.TYPE_SINT32,
    FieldDescriptorProto.TYPE_SINT64,
    FieldDescriptorProto.TYPE_FIXED32,
    FieldDescriptorProto.TYPE_FIXED64,
    FieldDescriptorProto.TYPE_SFIXED32,
    FieldDescriptorProto.TYPE_SFIXED64,
    FieldDescriptorProto.TYPE_STRING,
)
_MONEY: Final = "google.type.Money"
_DO: Final = f"make it a {_MONEY}"


def _field(context: Context, field: Field) -> Hits:
    if field.proto.type in _NUMBERS and _is_money(field.proto.name):
        yield Hit(f"{field.proto.name} sounds like money and is no {_MONEY}", _DO)


def _is_money(name: str) -> bool:
    parts = [_singular(part) for part in words_of(name)]
    if not parts or not set(parts).isdisjoint(NO_MONEY):
        return False
    if parts[-1] in SURE:
        return True
    return parts[-1] in PARTS and not set(parts[:-1]).isdisjoint(WORDS)


def _singular(word: str) -> str:
    return word.removesuffix("s") if word.removesuffix("s") in SURE else word


def _message(context: Context, message: Message) -> Hits:
    names = {field.name for field in message.proto.field}
    if message.name == _MONEY:
        return
    if len(names) <= 3 and names & CURRENCY and names & AMOUNTS and names <= CURRENCY | AMOUNTS:
        yield Hit(
            f"{message.proto.name} is a currency with an amount, and no {_MONEY}",
            f"use {_MONEY} in its place",
        )


RULE = LintRule(
    id="MP185",
    name="money-typed",
    summary="Amounts of money are google.type.Money.",
    why="a bare number leaves open its currency and its unit, and every home-made shape of money "
    "needs its own code",
    field=_field,
    message=_message,
)
