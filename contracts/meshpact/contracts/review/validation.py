"""What a change of buf.validate's rules does to the requests that a server accepts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    FieldDescriptorProto,
)

from meshpact.contracts.model import Contracts
from meshpact.contracts.review.fieldmeaning import Side, accepts_absent, cel, field_way
from meshpact.contracts.review.fieldrules import rules_of, shown
from meshpact.contracts.review.fields import Message
from meshpact.contracts.review.model import Change, Delta, Impact, Touch
from meshpact.contracts.review.pairing import Pairs
from meshpact.contracts.review.valuesets import Way, compare_opaque, compare_unread

_F = FieldDescriptorProto


class Requests:
    """Which methods take a message in their requests, at any depth."""

    def __init__(self, contracts: Contracts) -> None:
        self._contracts = contracts

    def of(self, message: str) -> tuple[str, ...]:
        """The methods, by the message's name with the leading dot."""
        waiting, seen = [message], set[str]()
        found: list[str] = []
        while waiting:
            name = waiting.pop()
            if name not in seen:
                seen.add(name)
                found += self._takers.get(name, ())
                waiting += self._holders.get(name, ())
        return tuple(sorted(found))

    @cached_property
    def _takers(self) -> Mapping[str, list[str]]:
        takers: dict[str, list[str]] = defaultdict(list)
        for file in self._contracts.files:
            for service in file.services:
                for method in service.methods:
                    takers[method.proto.input_type].append(method.name)
        return takers

    @cached_property
    def _holders(self) -> Mapping[str, list[str]]:
        holders: dict[str, list[str]] = defaultdict(list)
        for name, (_, message) in self._contracts.messages.items():
            for field in message.field:
                if field.type in (_F.TYPE_MESSAGE, _F.TYPE_GROUP):
                    holders[field.type_name].append(name)
        return holders


def validation_changes(
    old: Contracts,
    new: Contracts,
    pairs: Pairs,
    before: Mapping[str, Message],
    after: Mapping[str, Message],
    requests: Requests,
) -> Iterator[Change]:
    """Every change of rules on what callers send."""
    sides = Side(old), Side(new)
    for name, message in before.items():
        now = after.get(pairs.messages.get(name, ""))
        if now is None or message.proto == now.proto:
            continue
        found = list(_message_deltas(sides, message.proto, now.proto))
        if not found:
            continue
        methods = requests.of(now.name)
        touched = tuple(Touch("uses", "", each, f"{each} takes it") for each in methods)
        for number, told in found:
            delta = told if methods else _unheard(told)
            field = now.fields().get(number)
            subject = now.name[1:] if field is None else f"{now.name[1:]}.{field.name}"
            yield Change(delta, subject, now.place(new, number), touched)


def _unheard(delta: Delta) -> Delta:
    """What no caller sends is never judged."""
    return replace(delta, impact=Impact.NOTE, message=f"{delta.message} (in no request)")


def _demand(oneof: Any) -> dict[str, bool]:
    return {"required": True} if oneof is not None and oneof.required else {}


def _message_deltas(
    sides: tuple[Side, Side], old: DescriptorProto, new: DescriptorProto
) -> Iterator[tuple[int, Delta]]:
    """Deltas by number of the field; 0: of the message."""
    rules = rules_of(old.options, "message"), rules_of(new.options, "message")
    way = compare_unread(_of_message(rules[0]), _of_message(rules[1]))
    yield from ((0, delta) for delta in _deltas(way, shown(rules[0]), shown(rules[1])))
    before = {oneof.name: rules_of(oneof.options, "oneof") for oneof in old.oneof_decl}
    for oneof in new.oneof_decl:
        now = rules_of(oneof.options, "oneof")
        was = before.get(oneof.name)
        way = compare_opaque(_demand(was), _demand(now))
        for delta in _deltas(way, shown(was), shown(now)):
            yield 0, replace(delta, message=f"oneof {oneof.name}: {delta.message}")
    known = {field.number: field for field in old.field}
    for field in new.field:
        yield from (
            (field.number, delta)
            for delta in _field_deltas(sides, old, known.get(field.number), new, field)
        )
    kept = {field.number for field in new.field}
    for number, field in known.items():
        if number not in kept and not accepts_absent(old, field, sides[0]):
            was = shown(rules_of(field.options, "field"))
            text = f"{field.name} is gone, which was demanded: {was}"
            yield 0, Delta("validation-loosened", Impact.WIDENS, text)


def _field_deltas(
    sides: tuple[Side, Side],
    owner: DescriptorProto,
    old: FieldDescriptorProto | None,
    new_owner: DescriptorProto,
    new: FieldDescriptorProto,
) -> Iterator[Delta]:
    rules = rules_of(new.options, "field")
    if old is None:
        if rules is not None and not accepts_absent(new_owner, new, sides[1]):
            text = f"is new, and requests without it are refused: {shown(rules)}"
            yield Delta(
                "validation-tightened", Impact.BREAKS, text, "", "no such field", shown(rules)
            )
        return
    before = rules_of(old.options, "field")
    if before is None and rules is None:
        return
    way = field_way(sides, (owner, new_owner), (old, new))
    yield from _deltas(way, shown(before), shown(rules))


def _deltas(way: Way, before: str, after: str) -> Iterator[Delta]:
    text = f"rules are now: {after}; before: {before}"
    if Way.UNCLEAR in way:
        text = f"cannot tell what the new rules refuse: {after}; before: {before}"
        yield Delta("validation-unclear", Impact.BREAKS, text, "", before, after)
        return
    if Way.TIGHTER in way:
        text = f"refuses what was accepted; {text}"
        yield Delta("validation-tightened", Impact.BREAKS, text, "", before, after)
    if Way.LOOSER in way:
        text = f"rules are now: {after}; before: {before}"
        text = f"accepts what was refused; {text}"
        yield Delta("validation-loosened", Impact.WIDENS, text, "", before, after)


def _of_message(rules: Any) -> dict[str, str]:
    if rules is None:
        return {}
    oneofs = {f"oneof {','.join(each.fields)}": str(each.required) for each in rules.oneof}
    return {**cel(rules), **oneofs}
