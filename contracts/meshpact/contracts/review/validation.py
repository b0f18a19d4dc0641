"""What a change of buf.validate's rules does to the requests that a server accepts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

from google.protobuf.descriptor_pb2 import DescriptorProto

from meshpact.contracts.faults import Place
from meshpact.contracts.model import Contracts
from meshpact.contracts.review.fieldmeaning import (
    Held,
    accepts_absent,
    beside,
    cel,
    field_way,
)
from meshpact.contracts.review.fieldrules import rules_of, shown
from meshpact.contracts.review.fields import Message
from meshpact.contracts.review.model import Change, Delta, Impact, Touch
from meshpact.contracts.review.oneofmeaning import message_way, oneof_ways
from meshpact.contracts.review.pairing import Pairs
from meshpact.contracts.review.reach import fellows
from meshpact.contracts.review.rulesides import Side, Sides
from meshpact.contracts.review.trials import Trials
from meshpact.contracts.review.valuesets import Way, compare_unread

_SPENT: Final = "not tried, as one review tries only so many texts"
_NAMED: Final = 20
"""Values of an enum that are named."""


def validation_changes(
    old: Contracts,
    new: Contracts,
    pairs: Pairs,
    before: Mapping[str, Message],
    after: Mapping[str, Message],
    trials: Trials,
) -> Iterator[Change]:
    """Every change of rules on what callers send."""
    sides = Sides(Side(old), Side(new), trials)
    for name, message in before.items():
        now = after.get(pairs.messages.get(name, ""))
        if now is None or (message.proto == now.proto and not sides.drifted):
            continue
        found = list(_message_deltas(sides, message.proto, now.proto))
        methods = pairs.reach.requests((name, now.name)) if found else ()
        for number, told in found:
            delta = told if methods else _unheard(told)
            yield _change(now.name, now.proto, number, delta, now.place(new, number), methods)
    for pair in pairs.replaced:
        if methods := pairs.reach.requests(pair):
            one, two = old.messages[pair[0]][1], new.messages[pair[1]][1]
            for number, told in _message_deltas(sides, one, two):
                delta = replace(told, message=f"{instead(one, methods)}: {told.message}")
                place = place_of(new, after.get(pair[1]), number, methods[0])
                yield _change(pair[1], two, number, delta, place, methods)


def instead(was: DescriptorProto, methods: Sequence[str]) -> str:
    """In what place a message is now: that of another in some methods."""
    more = f" and {len(methods) - 1} more" if len(methods) > 1 else ""
    return f"in place of {was.name} in {methods[0].rpartition('.')[2]}{more}"


def place_of(new: Contracts, message: Message | None, number: int, name: str) -> Place:
    """Where a field of a message stands; of a message of others, where a method does."""
    if message is not None:
        return message.place(new, number)
    file, path = next(
        (file, method.path)
        for file in new.files
        for service in file.services
        for method in service.methods
        if method.name == name
    )
    return new.image.place(file.name, *file.locations.of(path))


def _change(
    name: str,
    message: DescriptorProto,
    number: int,
    delta: Delta,
    place: Place,
    methods: Sequence[str],
) -> Change:
    touched = tuple(Touch("uses", "", each, f"{each} takes it") for each in methods)
    field = next((f".{field.name}" for field in message.field if field.number == number), "")
    return Change(delta, f"{name[1:]}{field}", place, touched)


def _unheard(delta: Delta) -> Delta:
    """What no caller sends is never judged."""
    return replace(delta, impact=Impact.NOTE, message=f"{delta.message} (in no request)")


def _message_deltas(
    sides: Sides, old: DescriptorProto, new: DescriptorProto
) -> Iterator[tuple[int, Delta]]:
    """Deltas by number of the field; 0: of the message."""
    pairs = fellows(old, new, by_name=old.name != new.name)
    rules = rules_of(old.options, "message"), rules_of(new.options, "message")
    way = compare_unread(cel(rules[0]), cel(rules[1]))
    way = beside(way, message_way(sides, old, new, pairs))
    texts = [
        shown(each, side.predefined)
        for each, side in zip(rules, (sides.old, sides.new), strict=True)
    ]
    yield from ((0, delta) for delta in _deltas(way, texts[0], texts[1]))
    for name, way, *both in oneof_ways(sides, old, new, pairs):
        for delta in _deltas(way, both[0], both[1]):
            yield 0, replace(delta, message=f"oneof {name}: {delta.message}")
    for was, field in pairs:
        held = None if was is None else Held(old, was)
        for delta in _field_deltas(sides, held, Held(new, field)):
            yield field.number, delta
    kept = {was.number for was, _ in pairs if was is not None}
    for field in old.field:
        if field.number not in kept:
            for delta in _gone(sides, Held(old, field)):
                yield 0, delta


def _field_deltas(sides: Sides, old: Held | None, new: Held) -> Iterator[Delta]:
    after = shown(new.rules, sides.new.predefined)
    if old is None:
        accepted = accepts_absent(new, sides.new, sides.trials)
        if accepted is None:
            text = f"is new, and cannot tell whether requests without it are refused: {after}"
            text += f"; {_SPENT}"
            yield Delta("validation-unclear", Impact.BREAKS, text, "", "no such field", after)
        elif not accepted:
            text = f"is new, and requests without it are refused: {after}"
            yield Delta("validation-tightened", Impact.BREAKS, text, "", "no such field", after)
        return
    way = field_way(sides, old, new)
    if way is not Way.SAME:
        before = shown(old.rules, sides.old.predefined)
        if before == after:
            before, after = (
                f"{text}{_values(held, side)}"
                for text, held, side in ((before, old, sides.old), (after, new, sides.new))
            )
        yield from _deltas(way, before, after)


def _values(held: Held, side: Side) -> str:
    """The values of a field's enum, where these are all that differs."""
    numbers = sorted(side.numbers(held.field.type_name))
    if not numbers:
        return ""
    more = f" and {len(numbers) - _NAMED} more" if len(numbers) > _NAMED else ""
    return f" of {', '.join(map(str, numbers[:_NAMED]))}{more}"


def _gone(sides: Sides, old: Held) -> Iterator[Delta]:
    accepted = accepts_absent(old, sides.old, sides.trials)
    if accepted:
        return
    was = shown(old.rules, sides.old.predefined)
    name = old.field.name
    if accepted is None:
        text = f"{name} is gone, and cannot tell whether it was demanded: {was}; {_SPENT}"
        yield Delta("validation-unclear", Impact.BREAKS, text)
    else:
        text = f"{name} is gone, which was demanded: {was}"
        yield Delta("validation-loosened", Impact.WIDENS, text)


def _deltas(way: Way, before: str, after: str) -> Iterator[Delta]:
    text = f"rules are now: {after}; before: {before}"
    if Way.UNCLEAR in way:
        text = f"cannot tell what the new rules refuse: {after}; before: {before}"
        if Way.UNTRIED in way:
            text += f"; {_SPENT}"
        yield Delta("validation-unclear", Impact.BREAKS, text, "", before, after)
        return
    if Way.TIGHTER in way:
        text = f"refuses what was accepted; {text}"
        yield Delta("validation-tightened", Impact.BREAKS, text, "", before, after)
    if Way.LOOSER in way:
        text = f"rules are now: {after}; before: {before}"
        text = f"accepts what was refused; {text}"
        yield Delta("validation-loosened", Impact.WIDENS, text, "", before, after)
