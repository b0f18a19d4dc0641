"""Which values rules of buf.validate let through, compared by meaning.

A rule is never compared by its text where its values can be counted: bounds, constants, sets and
sizes cut the line of all values into few pieces, and one value of each piece tells the whole piece.
"""

from __future__ import annotations

import enum
import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final


class Way(enum.Flag):
    """What a change of rules does to what they let through."""

    SAME = 0
    TIGHTER = enum.auto()
    """Something that was accepted is refused."""
    LOOSER = enum.auto()
    """Something that was refused is accepted."""
    UNCLEAR = enum.auto()
    """It cannot be told."""
    UNTRIED = enum.auto()
    """Beside UNCLEAR: as much was tried as one review may."""


Check = Callable[[Any], bool]

_BOUNDS: Final = ("const", "lt", "lte", "gt", "gte", "in", "not_in")
_DECIDED: Final = {
    "string": frozenset(
        (
            *("const", "in", "not_in", "len", "min_len", "max_len"),
            *("len_bytes", "min_bytes", "max_bytes", "prefix", "suffix", "contains"),
            "not_contains",
        )
    ),
    "bytes": frozenset(
        (*("const", "in", "not_in", "len", "min_len", "max_len"), "prefix", "suffix", "contains")
    ),
}


def compare_points(old: Check, new: Check, points: Iterable[Any]) -> Way:
    """What changes at some values that stand for all."""
    way = Way.SAME
    for point in points:
        before, after = old(point), new(point)
        if before and not after:
            way |= Way.TIGHTER
        elif after and not before:
            way |= Way.LOOSER
    return way


def compare_opaque(old: Mapping[Any, Any], new: Mapping[Any, Any]) -> Way:
    """Rules that can only be there or not: more of them refuse more, others cannot be told."""
    way = Way.SAME
    for key in {*old, *new}:
        if key not in old:
            way |= Way.TIGHTER
        elif key not in new:
            way |= Way.LOOSER
        elif old[key] != new[key]:
            way |= Way.UNCLEAR
    return way


def compare_unread(old: Mapping[Any, Any], new: Mapping[Any, Any]) -> Way:
    """The same for rules that nobody here reads: what takes another's place may mean anything."""
    way = compare_opaque(old, new)
    return Way.UNCLEAR if Way.TIGHTER in way and Way.LOOSER in way else way


# Numbers, durations (seconds), timestamps (seconds since the epoch) -------------------------------


def number_check(rules: Any) -> Check:
    """Whether bounds and sets let a number through; `gt` above `lt` means outside of both."""
    if rules is None:
        return lambda _: True
    given: dict[str, Any] = {
        field.name: [_plain(each) for each in value] if field.is_repeated else _plain(value)
        for field, value in rules.ListFields()
    }
    finite = bool(given.get("finite"))
    allowed, refused = frozenset(given.get("in", ())), frozenset(given.get("not_in", ()))

    def check(value: Any) -> bool:
        if "const" in given and value != given["const"]:
            return False
        if allowed and value not in allowed:
            return False
        if value in refused:
            return False
        if finite and not math.isfinite(value):
            return False
        return _between(given, value)

    return check


def _between(given: Mapping[str, Any], value: Any) -> bool:
    low = (
        value > given["gt"] if "gt" in given else value >= given["gte"] if "gte" in given else None
    )
    high = (
        value < given["lt"] if "lt" in given else value <= given["lte"] if "lte" in given else None
    )
    if low is None or high is None:
        return low is not False and high is not False
    lower = given.get("gt", given.get("gte"))
    upper = given.get("lt", given.get("lte"))
    assert lower is not None, "there is a bound"
    outside: bool = lower > upper
    return bool(low or high) if outside else bool(low and high)


def number_points(rules: Sequence[Any], whole: bool, extremes: tuple[Any, Any]) -> list[Any]:
    """Values that stand for all: each bound, those beside it, and the ends of the type."""
    marks: set[Any] = {0, *extremes}
    for each in rules:
        if each is None:
            continue
        for field, value in each.ListFields():
            if field.name in _BOUNDS:
                if field.is_repeated:
                    marks.update(_plain(each) for each in value)
                else:
                    marks.add(_plain(value))
    ordered = sorted(marks)
    if whole:
        near = {mark + step for mark in ordered for step in (-1, 0, 1)}
        return sorted(each for each in near if extremes[0] <= each <= extremes[1])
    between = [(one + two) / 2 for one, two in itertools.pairwise(ordered)]
    return [*ordered, *between, math.inf, -math.inf, math.nan]


def _plain(value: Any) -> Any:
    """Numbers as they are; durations and timestamps in whole nanoseconds."""
    return value.seconds * 10**9 + value.nanos if hasattr(value, "nanos") else value


# Texts and bytes ----------------------------------------------------------------------------------


def text_way(old: Any, new: Any, kind: str, empty: tuple[Check, Check]) -> Way:
    """What changes for strings or bytes that are not empty, and for the empty one by `empty`."""
    unread = compare_unread(opaque(old, kind), opaque(new, kind))
    checks = text_check(old), text_check(new)
    nothing = "" if kind == "string" else b""
    at_empty = compare_points(empty[0], empty[1], [nothing])
    told = [value for rules in (old, new) for value in named(rules) if value != nothing]
    way = compare_points(*checks, told)
    finite = [is_finite(rules) for rules in (old, new)]
    if all(finite):
        return way | at_empty | (unread if way is Way.SAME and told else Way.SAME)
    if finite[0]:
        return way | at_empty | Way.LOOSER | (unread & Way.UNCLEAR)
    if finite[1]:
        return way | at_empty | Way.TIGHTER | (unread & Way.UNCLEAR)
    return (
        compare_points(
            _size_check(old, bytes_=False), _size_check(new, bytes_=False), _sizes(old, new)
        )
        | compare_points(
            _size_check(old, bytes_=True), _size_check(new, bytes_=True), _sizes(old, new)
        )
        | compare_opaque(affixes(old), affixes(new))
        | way
        | unread
        | at_empty
    )


def text_check(rules: Any) -> Check:
    """Whether all that can be decided lets a text through."""
    if rules is None:
        return lambda _: True
    chars, octets = size_bounds(rules)
    const = rules.const if rules.HasField("const") else None
    allowed, refused = frozenset(getattr(rules, "in")), frozenset(rules.not_in)
    parts = affixes(rules)
    prefix, suffix, within, without = (
        parts.get(name) for name in ("prefix", "suffix", "contains", "not_contains")
    )

    def check(value: Any) -> bool:
        encoded = value.encode() if isinstance(value, str) else value
        return (
            chars[0] <= len(value) <= chars[1]
            and octets[0] <= len(encoded) <= octets[1]
            and (const is None or value == const)
            and (not allowed or value in allowed)
            and value not in refused
            and (prefix is None or value.startswith(prefix))
            and (suffix is None or value.endswith(suffix))
            and (within is None or within in value)
            and (without is None or without not in value)
        )

    return check


def _size_check(rules: Any, *, bytes_: bool) -> Callable[[float], bool]:
    least, most = size_bounds(rules)[bytes_]
    return lambda size: least <= size <= most


def size_bounds(rules: Any) -> tuple[tuple[float, float], tuple[float, float]]:
    """The sizes in characters and in bytes; each bounds the other, as a character has 1 to 4."""
    chars = _sized(rules, "len", "min_len", "max_len")
    if rules is None or "min_bytes" not in rules.DESCRIPTOR.fields_by_name:
        return chars, (0, math.inf)
    octets = _sized(rules, "len_bytes", "min_bytes", "max_bytes")
    return (
        (max(chars[0], math.ceil(octets[0] / 4)), min(chars[1], octets[1])),
        (max(octets[0], chars[0]), min(octets[1], 4 * chars[1])),
    )


def _sized(rules: Any, exact: str, least: str, most: str) -> tuple[float, float]:
    low, high = _get(rules, least) or 0, _get(rules, most)
    high = math.inf if high is None else high
    if (wanted := _get(rules, exact)) is not None:
        return max(low, wanted), min(high, wanted)
    return low, high


def _sizes(*rules: Any) -> list[float]:
    marks = {
        mark for each in rules for pair in size_bounds(each) for mark in pair if math.isfinite(mark)
    }
    return sorted({1, *(mark + step for mark in marks for step in (-1, 0, 1) if mark + step > 0)})


def is_finite(rules: Any) -> bool:
    """Whether rules name all values that they take."""
    return rules is not None and (rules.HasField("const") or bool(getattr(rules, "in")))


def named(rules: Any) -> Iterator[Any]:
    """The values that rules name."""
    if rules is not None:
        if rules.HasField("const"):
            yield rules.const
        yield from getattr(rules, "in")
        yield from rules.not_in


def affixes(rules: Any) -> dict[str, Any]:
    """What a text must begin or end with, hold, or not hold."""
    names = ("prefix", "suffix", "contains", "not_contains")
    return {name: value for name in names if (value := _get(rules, name)) is not None}


def opaque(rules: Any, kind: str) -> dict[str, Any]:
    """The rules whose values nobody here can count: patterns, formats."""
    if rules is None:
        return {}
    return {
        field.name: value
        for field, value in rules.ListFields()
        if field.name not in _DECIDED[kind] and field.name != "example" and value is not False
    }


def untold(rules: Any, kind: str) -> bool:
    """Whether rules say more of texts than what can be counted."""
    return rules is not None and bool(opaque(rules, kind) or affixes(rules))


def _get(rules: Any, name: str) -> Any:
    """A rule's value; None where it is not given, or not known to its kind."""
    if rules is None or name not in rules.DESCRIPTOR.fields_by_name:
        return None
    if rules.DESCRIPTOR.fields_by_name[name].is_repeated:
        return list(getattr(rules, name)) or None
    return getattr(rules, name) if rules.HasField(name) else None


def count_way(old: tuple[int, int | None], new: tuple[int, int | None]) -> Way:
    """What changes for numbers of items, each side from the least to the most (None: any)."""
    marks = {0, *(mark for pair in (old, new) for mark in pair if mark is not None)}
    points = {mark + step for mark in marks for step in (-1, 0, 1) if mark + step >= 0}

    def within(pair: tuple[int, int | None]) -> Check:
        return lambda count: pair[0] <= count and (pair[1] is None or count <= pair[1])

    return compare_points(within(old), within(new), points)
