"""Which message stands where which other stood, and in the calls of which methods."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto

from meshpact.contracts.model import Contracts, Method
from meshpact.contracts.review.fieldrules import ignored, rules_of

Pair = tuple[str, str]
"""An old message and a new one, with the leading dots."""

_F = FieldDescriptorProto
_FURTHER = 1000
"""Pairs that are followed beside one for each message."""


class Reach:
    """Messages at the same place of the same call, at any depth."""

    def __init__(
        self, old: Contracts, new: Contracts, methods: Iterable[tuple[Method, Method]]
    ) -> None:
        self._asked: dict[Pair, list[str]] = defaultdict(list)
        self._told: dict[Pair, list[str]] = defaultdict(list)
        self._holders: dict[Pair, list[Pair]] = defaultdict(list)
        self._messages = old.messages, new.messages
        waiting: list[Pair] = []
        for one, two in methods:
            asked = one.proto.input_type, two.proto.input_type
            told = one.proto.output_type, two.proto.output_type
            self._asked[asked].append(two.name)
            self._told[told].append(two.name)
            waiting += [asked, told]
        self.pairs: dict[Pair, None] = {}
        """All of them, those that the methods themselves name first come first."""
        self.cut = False
        """Whether there were too many to follow: types that hold each other in circles of other
        lengths on each side."""
        most = _FURTHER + len(old.messages) + len(new.messages)
        while waiting and not self.cut:
            pair = waiting.pop()
            self.cut = len(self.pairs) > most
            if pair in self.pairs or not (pair[0] in old.messages and pair[1] in new.messages):
                continue
            self.pairs[pair] = None
            for inner, judged in self._inner(pair):
                if judged:
                    self._holders[inner].append(pair)
                waiting.append(inner)

    def requests(self, pair: Pair) -> tuple[str, ...]:
        """The methods, by their new names, in whose requests the new message stands where the old
        one stood."""
        return self._methods(pair, self._asked)

    def calls(self, pair: Pair) -> tuple[str, ...]:
        """The same of their requests and their responses."""
        both = {*self.requests(pair), *self._methods(pair, self._told)}
        return tuple(sorted(both))

    def _methods(self, pair: Pair, whose: Mapping[Pair, Sequence[str]]) -> tuple[str, ...]:
        waiting, seen, found = [pair], {pair}, set[str]()
        while waiting:
            each = waiting.pop()
            found.update(whose.get(each, ()))
            further = [holder for holder in self._holders.get(each, ()) if holder not in seen]
            seen.update(further)
            waiting += further
        return tuple(sorted(found))

    def _inner(self, pair: Pair) -> Iterator[tuple[Pair, bool]]:
        """The messages in two messages, and whether anybody judges them."""
        old, new = (messages[name][1] for messages, name in zip(self._messages, pair, strict=True))
        for one, two in fellows(old, new, by_name=old.name != new.name):
            if one is not None and all(
                each.type in (_F.TYPE_MESSAGE, _F.TYPE_GROUP) for each in (one, two)
            ):
                judged = not all(ignored(rules_of(each.options, "field")) for each in (one, two))
                yield (one.type_name, two.type_name), judged


def fellows(
    old: DescriptorProto, new: DescriptorProto, *, by_name: bool
) -> list[tuple[FieldDescriptorProto | None, FieldDescriptorProto]]:
    """Each field of the new message with what it was in the old one: that of its number or, where
    one message took another's place, first that of its name in JSON."""
    numbered: Mapping[int, FieldDescriptorProto] = {field.number: field for field in old.field}
    if not by_name:
        return [(numbered.get(field.number), field) for field in new.field]
    named = {_json(field): field for field in old.field}
    taken = {named[_json(field)].number for field in new.field if _json(field) in named}
    return [
        (named.get(_json(field)) or _free(numbered.get(field.number), taken), field)
        for field in new.field
    ]


def _free(field: FieldDescriptorProto | None, taken: set[int]) -> FieldDescriptorProto | None:
    return None if field is None or field.number in taken else field


def _json(field: FieldDescriptorProto) -> str:
    """Its name in JSON, as far as it may differ from others'."""
    return field.json_name or field.name
