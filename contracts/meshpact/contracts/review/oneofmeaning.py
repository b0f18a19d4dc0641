"""What rules say of which fields are set together: `oneof` of buf.validate on messages, `required`
on oneofs. Both are decided: few fields tell all."""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto

from meshpact.contracts.review.fieldmeaning import Held, accepts_absent
from meshpact.contracts.review.fieldrules import rules_of, shown
from meshpact.contracts.review.rulesides import Sides
from meshpact.contracts.review.valuesets import Way

Fellows = Sequence[tuple[FieldDescriptorProto | None, FieldDescriptorProto]]
"""Each field of the new message with what it was in the old one."""

_MOST: Final = 20_000
"""Sets of fields that are looked at for one message."""


@dataclass(frozen=True)
class Choice:
    """Fields of which at most one is set, and exactly one where that is `required`."""

    fields: frozenset[str]
    required: bool

    def takes(self, fields: frozenset[str]) -> bool:
        """Whether so many of them are set as may be."""
        count = len(self.fields & fields)
        return count == 1 or (count == 0 and not self.required)


@dataclass(frozen=True)
class OneSide:
    """The choices of a message on one side; fields of both sides bear their new names."""

    ruled: frozenset[Choice] | None
    """What rules of the message say; None where no server can read them."""
    own: Mapping[str, Choice]
    """Its oneofs by name."""
    fields: frozenset[str]
    demanded: frozenset[str]
    """Fields without which a request is refused anyway."""


def message_way(sides: Sides, old: DescriptorProto, new: DescriptorProto, fellows: Fellows) -> Way:
    """What rules of the kind `oneof` on a message change."""
    rules = (rules_of(message.options, "message") for message in (old, new))
    if not any(each is not None and each.oneof for each in rules):
        return Way.SAME
    one, two = _both(sides, old, new, fellows)
    if one.ruled is None or two.ruled is None:
        return Way.SAME if one.ruled is two.ruled else Way.UNCLEAR
    if one.ruled == two.ruled:
        return Way.SAME
    return _way(one, two, one.ruled, two.ruled)


def oneof_ways(
    sides: Sides, old: DescriptorProto, new: DescriptorProto, fellows: Fellows
) -> Iterator[tuple[str, Way, str, str]]:
    """What changes for each oneof that must be set on a side: its name, and both texts."""
    rules = [
        {each.name: rules_of(each.options, "oneof") for each in message.oneof_decl}
        for message in (old, new)
    ]
    if not any(each is not None and each.required for side in rules for each in side.values()):
        return
    one, two = _both(sides, old, new, fellows)
    renamed = {
        name: _heir(choice, two.own) for name, choice in one.own.items() if name not in two.own
    }
    was = {heir: name for name, heir in renamed.items() if heir}
    for name in dict.fromkeys((*two.own, *(name for name in one.own if not renamed.get(name)))):
        before = was.get(name, name)
        choices = [
            frozenset({side.own[each]} if each in side.own and side.own[each].required else ())
            for side, each in ((one, before), (two, name))
        ]
        texts = [shown(rules[0].get(before)), shown(rules[1].get(name))]
        if texts[0] == texts[1]:
            texts = [
                f"{text} of {', '.join(_members(message).get(each, ()))}"
                for text, message, each in zip(texts, (old, new), (before, name), strict=True)
            ]
        yield name, _way(one, two, choices[0], choices[1]), texts[0], texts[1]


def _heir(choice: Choice, others: Mapping[str, Choice]) -> str:
    """The oneof that most of a choice's fields are in now; "" where there is none."""
    counts = {name: len(each.fields & choice.fields) for name, each in others.items()}
    best = max(counts, key=lambda name: counts[name], default="")
    return best if best and 2 * counts[best] > len(choice.fields) else ""


def _both(
    sides: Sides, old: DescriptorProto, new: DescriptorProto, fellows: Fellows
) -> tuple[OneSide, OneSide]:
    names = {field.name: f"{field.name} of old" for field in old.field}
    names |= {was.name: now.name for was, now in fellows if was is not None}
    return (
        _side(sides, 0, old, names),
        _side(sides, 1, new, {field.name: field.name for field in new.field}),
    )


def _side(sides: Sides, index: int, message: DescriptorProto, names: Mapping[str, str]) -> OneSide:
    rules = rules_of(message.options, "message")
    demands = {each.name: rules_of(each.options, "oneof") for each in message.oneof_decl}
    own = {
        name: Choice(
            frozenset(names[each] for each in members),
            demands[name] is not None and demands[name].required,
        )
        for name, members in _members(message).items()
    }
    return OneSide(
        ruled=_ruled(rules.oneof if rules is not None else (), names),
        own=own,
        fields=frozenset(names.values()),
        demanded=frozenset(
            names[field.name]
            for field in message.field
            if accepts_absent(Held(message, field), sides[index], sides.trials) is False
        ),
    )


def _members(message: DescriptorProto) -> dict[str, list[str]]:
    """The fields of its oneofs."""
    found: dict[str, list[str]] = defaultdict(list)
    for field in message.field:
        if field.HasField("oneof_index") and not field.proto3_optional:
            found[message.oneof_decl[field.oneof_index].name].append(field.name)
    return found


def _ruled(rules: Sequence[Any], names: Mapping[str, str]) -> frozenset[Choice] | None:
    for each in rules:
        listed = list(each.fields)
        if not listed or len(set(listed)) < len(listed) or not set(listed) <= names.keys():
            return None
    return frozenset(
        Choice(frozenset(names[name] for name in each.fields), each.required) for each in rules
    )


def _way(one: OneSide, two: OneSide, before: frozenset[Choice], after: frozenset[Choice]) -> Way:
    """Whether some set of fields passes on one side, and is refused for a choice of the other."""
    way = Way.SAME
    for flag, side, other, choices, known in (
        (Way.TIGHTER, one, after - before, before, one.fields),
        (Way.LOOSER, two, before - after, after, one.fields & two.fields),
    ):
        found = _refused(side, other, choices, known)
        if found is None:
            return Way.UNCLEAR
        way |= flag if found else Way.SAME
    return way


def _refused(
    side: OneSide, others: frozenset[Choice], choices: frozenset[Choice], known: frozenset[str]
) -> bool | None:
    """Whether a set of `known` fields that a side takes is refused by one of `others`; None where
    there are too many sets.

    A set that is refused stays so, and is taken as before, without all fields but those that are
    demanded, one of each choice, and two that may not stand together.
    """
    if not others:
        return False
    mine = [*choices, *side.own.values(), *(side.ruled or ())]
    free = sorted(
        {name for choice in (*mine, *others) for name in choice.fields & known} - side.demanded
    )
    most = 2 + sum(1 for choice in mine if choice.required)
    if sum(math.comb(len(free), size) for size in range(most + 1)) > _MOST:
        return None
    for size in range(most + 1):
        for some in itertools.combinations(free, size):
            fields = side.demanded | frozenset(some)
            if all(each.takes(fields) for each in mine) and not all(
                each.takes(fields) for each in others
            ):
                return True
    return False
