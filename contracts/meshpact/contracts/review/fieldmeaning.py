"""What a change of a field's rules does to the values that it takes, by the kind of the field."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto

from meshpact.contracts.review.fieldrules import foreign, ignored, rules_of
from meshpact.contracts.review.rulesides import Side, Sides
from meshpact.contracts.review.textmeaning import texts_way
from meshpact.contracts.review.trials import Trials
from meshpact.contracts.review.valuesets import (
    Check,
    Way,
    compare_opaque,
    compare_points,
    compare_unread,
    count_way,
    number_check,
    number_points,
    text_check,
    untold,
)

_F = FieldDescriptorProto
_IGNORE_ZERO: Final = 1
_LARGEST: Final = 2.0**1023
_EXTREMES: Final = {
    **dict.fromkeys(("int32", "sint32", "sfixed32"), (-(2**31), 2**31 - 1)),
    **dict.fromkeys(("int64", "sint64", "sfixed64"), (-(2**63), 2**63 - 1)),
    **dict.fromkeys(("uint32", "fixed32"), (0, 2**32 - 1)),
    **dict.fromkeys(("uint64", "fixed64"), (0, 2**64 - 1)),
    **dict.fromkeys(("float", "double"), (-_LARGEST, _LARGEST)),
    "duration": (-315_576_000_000 * 10**9, 315_576_000_000 * 10**9),
    "timestamp": (-62_135_596_800 * 10**9, 253_402_300_799 * 10**9),
    "enum": (-(2**31), 2**31 - 1),
    "bool": (0, 1),
}
_KINDS: Final = {number: name.removeprefix("TYPE_").lower() for name, number in _F.Type.items()}
_TEXTS: Final = ("string", "bytes")
_BY_NOW: Final = ("lt_now", "gt_now", "within")


@dataclass(frozen=True)
class Held:
    """A field in the message that holds it."""

    owner: DescriptorProto
    field: FieldDescriptorProto

    @property
    def has_presence(self) -> bool:
        """Whether it can be told to be absent."""
        field = self.field
        if field.label == _F.LABEL_REPEATED:
            return False
        if field.type in (_F.TYPE_MESSAGE, _F.TYPE_GROUP) or field.HasField("oneof_index"):
            return True
        return field.label == _F.LABEL_REQUIRED

    @property
    def rules(self) -> Any:
        """Its rules, as they are looked at: a field that a `oneof` of the message names is not
        judged while it is empty, and one that it names alone may have to be there."""
        rules = rules_of(self.field.options, "field")
        if rules is None or rules.ignore:
            return rules
        named = _choices(self.owner, self.field.name)
        if not named:
            return rules
        seen: Any = type(rules)()
        seen.CopyFrom(rules)
        seen.ignore = _IGNORE_ZERO
        if any(each.required and len(each.fields) == 1 for each in named):
            seen.required = True
        return seen


def _choices(owner: DescriptorProto, field: str) -> list[Any]:
    """The rules of a message's kind `oneof` that name a field."""
    rules = rules_of(owner.options, "message")
    return [each for each in rules.oneof if field in each.fields] if rules is not None else []


def field_way(sides: Sides, old: Held, new: Held) -> Way:
    """What changes for the values of a field that both sides have."""
    one, two = old.rules, new.rules
    if one is None and two is None:
        return Way.SAME
    if _shape(old.field) != _shape(new.field):
        return Way.SAME if one == two else Way.UNCLEAR  # buf tells of the type
    presence = old.has_presence, new.has_presence
    if one == two and presence[0] == presence[1] and not sides.drifted:
        return Way.SAME
    if sides.trials.spent and any(map(_needs_trials, (one, two))):
        return Way.UNCLEAR | Way.UNTRIED
    return _Field(sides, old.field, new.field, presence).way(one, two)


def _shape(field: FieldDescriptorProto) -> tuple[object, ...]:
    return field.type, field.label == _F.LABEL_REPEATED


def accepts_absent(held: Held, side: Side, trials: Trials) -> bool | None:
    """Whether a request without the field is accepted; None where it would have to be tried, and
    as much was tried as one review may."""
    rules = held.rules
    if rules is None:
        return True
    if trials.spent and _needs_trials(rules):
        return None
    field, presence = held.field, held.has_presence
    judged = _Field(Sides(side, side, trials), field, field, (presence, presence))
    return judged.accepts_absent(rules)


def _needs_trials(rules: Any) -> bool:
    if rules is None:
        return False
    kind = rules.WhichOneof("type")
    if kind == "repeated":
        return _needs_trials(_given(rules.repeated, "items"))
    if kind == "map":
        return any(_needs_trials(_given(rules.map, part)) for part in ("keys", "values"))
    return kind in _TEXTS and untold(getattr(rules, kind), kind)


class _Field:
    """The rules of one field on both sides."""

    def __init__(
        self,
        sides: Sides,
        old: FieldDescriptorProto,
        new: FieldDescriptorProto,
        presence: tuple[bool, bool],
    ) -> None:
        self._sides = sides
        self._fields = old, new
        self._presence = presence

    def way(self, old: Any, new: Any) -> Way:
        """What changes for the values of the field."""
        inside = self._inside(old, new)
        old, new = _live(old), _live(new)
        way = inside | compare_unread(
            *(unread(each, self._sides[i]) for i, each in enumerate((old, new)))
        )
        if self._fields[1].label == _F.LABEL_REPEATED:
            return beside(way, self._many(old, new))
        absent = compare_points(
            lambda _: self._absent(old, 0), lambda _: self._absent(new, 1), [None]
        )
        return beside(way, absent | self._single(old, new))

    def accepts_absent(self, rules: Any) -> bool:
        """Whether a request without the field is accepted, as far as can be told."""
        rules = _live(rules)
        if rules is None:
            return True
        field = self._fields[1]
        if field.label == _F.LABEL_REPEATED:
            return self._counts(rules)[0] == 0
        if self._presence[1]:
            return not rules.required
        return self._zero(rules, 1)

    def _inside(self, old: Any, new: Any) -> Way:
        """What comes of rules of a message in the field being looked at, or not any more."""
        field = self._fields[1]
        if field.label == _F.LABEL_REPEATED or self._typed(None)[0] != "message":
            return Way.SAME
        if ignored(old) == ignored(new) or not self._sides[ignored(old)].has_rules(field.type_name):
            return Way.SAME
        return Way.TIGHTER if ignored(old) else Way.LOOSER

    def _absent(self, rules: Any, side: int) -> bool:
        """Whether a message without the field is accepted: without presence that is the zero."""
        if rules is None:
            return True
        return not rules.required if self._presence[side] else self._zero(rules, side)

    def _zero(self, rules: Any, side: int) -> bool:
        """Whether the zero value of a field without presence is accepted."""
        kind, typed = self._typed(rules)
        zero: Any = {"string": "", "bytes": b""}.get(kind, 0)
        return self._check(rules, typed, kind, side)(zero)

    def _single(self, old: Any, new: Any) -> Way:
        kind, one = self._typed(old)
        _, two = self._typed(new)
        checks = self._check(old, one, kind, 0), self._check(new, two, kind, 1)
        if kind in _TEXTS:
            return texts_way(one, two, kind, checks, self._sides.trials)
        if kind in _EXTREMES:
            whole = kind not in ("float", "double")
            points = number_points((one, two), whole, _EXTREMES[kind])
            if kind == "enum":
                for side, field in zip((0, 1), self._fields, strict=True):
                    points += list(self._sides[side].numbers(field.type_name))
            by_now = (
                {name: value for name in _BY_NOW if (value := _given(each, name))}
                for each in (one, two)
            )
            return compare_points(*checks, points) | compare_unread(*by_now)
        return _any_way(one, two) if one != two else Way.SAME

    def _check(self, rules: Any, typed: Any, kind: str, side: int) -> Check:
        inner = self._text_judge(typed, kind) if kind in _TEXTS else number_check(typed)
        defined = typed is not None and kind == "enum" and typed.defined_only
        numbers = self._sides[side].numbers(self._fields[side].type_name) if defined else None
        implicit = not self._presence[side]
        required = implicit and rules is not None and rules.required
        lenient = rules is not None and rules.ignore == _IGNORE_ZERO

        def check(value: Any) -> bool:
            if not value and value == value:
                if required:
                    return False
                if lenient:
                    return True
            if numbers is not None and value not in numbers:
                return False
            return inner(value)

        return check

    def _text_judge(self, typed: Any, kind: str) -> Check:
        return self._sides.trials.judge(typed, kind) or text_check(typed)

    def _typed(self, rules: Any) -> tuple[str, Any]:
        """The kind of a value, and the rules of its kind."""
        field = self._fields[1]
        kind = _KINDS[field.type]
        if kind == "message":
            known = {".google.protobuf.Duration": "duration"}
            known[".google.protobuf.Timestamp"] = "timestamp"
            known[".google.protobuf.Any"] = "any"
            known[".google.protobuf.FieldMask"] = "field_mask"
            kind = known.get(field.type_name, _WRAPPERS.get(field.type_name, "message"))
        if rules is None or rules.WhichOneof("type") != kind:
            return kind, None
        return kind, getattr(rules, kind)

    def _counts(self, rules: Any) -> tuple[int, int | None]:
        if rules is None:
            return 0, None
        kind = rules.WhichOneof("type")
        least, most = 0, None
        if kind == "repeated":
            least, most = rules.repeated.min_items, _given(rules.repeated, "max_items")
        elif kind == "map":
            least, most = rules.map.min_pairs, _given(rules.map, "max_pairs")
        if rules.ignore == _IGNORE_ZERO and not rules.required:
            least = 0 if least <= 1 else least
        return max(least, int(rules.required)), most

    def _many(self, old: Any, new: Any) -> Way:
        way = count_way(self._counts(old), self._counts(new))
        kinds = {rules.WhichOneof("type") for rules in (old, new) if rules is not None}
        if "repeated" in kinds:
            one, two = (
                rules.repeated if rules is not None and rules.HasField("repeated") else None
                for rules in (old, new)
            )
            unique = (
                {"unique": True} if each is not None and each.unique else {} for each in (one, two)
            )
            way |= compare_opaque(*unique)
            way |= self._inner(self._fields, _given(one, "items"), _given(two, "items"))
        if "map" in kinds:
            one, two = (
                rules.map if rules is not None and rules.HasField("map") else None
                for rules in (old, new)
            )
            for index, part in enumerate(("keys", "values")):
                entries = [
                    self._sides[side].messages[field.type_name][1].field[index]
                    for side, field in enumerate(self._fields)
                ]
                pair = entries[0], entries[1]
                way |= self._inner(pair, _given(one, part), _given(two, part))
        return way

    def _inner(
        self, fields: tuple[FieldDescriptorProto, FieldDescriptorProto], old: Any, new: Any
    ) -> Way:
        """What changes for each item: one is always there, and may be zero."""
        single = [FieldDescriptorProto() for _ in fields]
        for copy, field in zip(single, fields, strict=True):
            copy.CopyFrom(field)
            copy.label = _F.LABEL_OPTIONAL
        message = fields[1].type == _F.TYPE_MESSAGE
        inner = _Field(self._sides, single[0], single[1], (message, message))
        return inner.way(old, new)


_WRAPPERS: Final = {
    f".google.protobuf.{name}Value": name.lower()
    for name in ["Bool", "Bytes", "String", "Double", "Float", "Int32", "Int64", "UInt32", "UInt64"]
}


def _live(rules: Any) -> Any:
    """Rules that are looked at; None for others."""
    return None if ignored(rules) else rules


def _given(rules: Any, name: str) -> Any:
    if rules is None or name not in rules.DESCRIPTOR.fields_by_name or not rules.HasField(name):
        return None
    return getattr(rules, name)


def _any_way(old: Any, new: Any) -> Way:
    """Sets of type URLs, or of paths of a field mask."""
    if any(_given(each, "const") is not None for each in (old, new)):
        return Way.UNCLEAR
    allowed = [_listed(each, "in") for each in (old, new)]
    way = Way.SAME
    if allowed[1] and (not allowed[0] or allowed[0] - allowed[1]):
        way |= Way.TIGHTER
    if allowed[0] and (not allowed[1] or allowed[1] - allowed[0]):
        way |= Way.LOOSER
    refused = [dict.fromkeys(_listed(each, "not_in")) for each in (old, new)]
    return way | compare_opaque(*refused)


def _listed(rules: Any, name: str) -> frozenset[str]:
    return frozenset(getattr(rules, name)) if rules is not None else frozenset()


def unread(rules: Any, side: Side) -> dict[str, object]:
    """What rules of a field say that nobody here reads: CEL and predefined rules."""
    if rules is None:
        return {}
    return {**cel(rules), **foreign(rules, side.predefined)}


def cel(rules: Any) -> dict[str, str]:
    """The expressions of rules, by themselves: two of them may have one ID, and an ID says nothing
    of what is refused."""
    if rules is None:
        return {}
    found = [*(rule.expression for rule in rules.cel), *rules.cel_expression]
    return {expression: expression for expression in found}


def beside(unclear: Way, rest: Way) -> Way:
    """What rules that nobody reads do beside others: what comes as others go may refuse the same,
    and the other way round."""
    for one, two in ((Way.TIGHTER, Way.LOOSER), (Way.LOOSER, Way.TIGHTER)):
        if one in unclear and two in rest:
            return Way.UNCLEAR
    return unclear | rest
