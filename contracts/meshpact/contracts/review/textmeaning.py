"""Which texts (or bytes) rules of buf.validate let through, where patterns, formats or parts of
texts have a say: rules that cannot be compared are tried, on texts that may tell them apart.

What a text shows is sure. What no text shows is dropped when a length settles it, else it cannot be
told.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, Final

from meshpact.contracts.review.patternwidth import ANY, Width, width
from meshpact.contracts.review.trials import Trials, content
from meshpact.contracts.review.valuesets import (
    Check,
    Way,
    affixes,
    compare_opaque,
    compare_points,
    compare_unread,
    is_finite,
    named,
    opaque,
    size_bounds,
    text_way,
    untold,
)

_LONGEST: Final = 4096
_FORMATS: Final[dict[str, Width]] = {"uuid": (36, 36), "tuuid": (32, 32), "ulid": (26, 26)}
_SAMPLES: Final = (
    "a",
    "b",
    "A",
    "1",
    "a1",
    "example",
    "shop.example",
    "anna@shop.example",
    "https://shop.example/a?b=c#d",
    "/a/b",
    "192.0.2.1",
    "192.0.2.0/24",
    "2001:db8::1",
    "2001:db8::/32",
    "shop.example:80",
    "123e4567-e89b-12d3-a456-426614174000",
    "123e4567e89b12d3a456426614174000",
    "01ARZ3NDEKTSV4RRFFQ69G5FAV",
    "X-Header",
    "a b",
    "\u00e9",
    "\u2603",
    "\n",
)


def texts_way(old: Any, new: Any, kind: str, empty: tuple[Check, Check], trials: Trials) -> Way:
    """What changes for a field of strings or bytes; `empty` decide about the empty one."""
    way = text_way(old, new, kind, empty)
    if way is Way.SAME or not (untold(old, kind) or untold(new, kind)):
        return way
    nothing = "" if kind == "string" else b""
    at_empty = compare_points(empty[0], empty[1], [nothing])
    key = kind, content(old), content(new), at_empty
    if key not in trials.ways:
        trials.ways[key] = _tried(old, new, kind, (way, at_empty), trials)
    return trials.ways[key]


def _tried(old: Any, new: Any, kind: str, ways: tuple[Way, Way], trials: Trials) -> Way:
    """What some texts show; `ways` is what can be told without, in all and of the empty text."""
    way, seen = ways
    checks = trials.judge(old, kind), trials.judge(new, kind)
    if checks[0] is None or checks[1] is None:
        return way | Way.UNCLEAR
    texts = list(dict.fromkeys(_texts(old, new, kind)))
    trials.take(texts)
    seen |= compare_points(checks[0], checks[1], filter(None, texts))
    if is_finite(old) and is_finite(new):
        return seen
    if way & Way.UNCLEAR and seen != Way.TIGHTER | Way.LOOSER:
        return Way.UNCLEAR
    for flag, one, two in ((Way.TIGHTER, old, new), (Way.LOOSER, new, old)):
        if way & flag and not seen & flag and not _settled(one, two, kind):
            return Way.UNCLEAR
    return seen


def _settled(one: Any, two: Any, kind: str) -> bool:
    """Whether no text that `one` takes is refused by `two`, by their lengths: all that is not
    lengths is the same, and the lengths of `one` follow from it."""
    rest = compare_unread(opaque(two, kind), opaque(one, kind))
    rest |= compare_opaque(affixes(two), affixes(one))
    if Way.LOOSER in rest or Way.UNCLEAR in rest or set(named(one)) != set(named(two)):
        return False
    least, most = _lengths(one)
    chars, octets = size_bounds(one)
    wanted_chars, wanted_octets = size_bounds(two)
    low, high = max(least, chars[0]), min(most, chars[1])
    if kind == "string":
        octets = max(octets[0], low), min(octets[1], 4 * high)
    else:
        octets = low, high
        wanted_octets = wanted_chars
    return (
        wanted_chars[0] <= low
        and high <= wanted_chars[1]
        and wanted_octets[0] <= octets[0]
        and octets[1] <= wanted_octets[1]
    )


def _lengths(rules: Any) -> Width:
    """The lengths that follow from all that is no length."""
    least, most = ANY
    if getattr(rules, "pattern", "") and isinstance(rules.pattern, str):
        least, most = width(rules.pattern)
    for name, (low, high) in _FORMATS.items():
        if getattr(rules, name, False) is True and rules.DESCRIPTOR.name == "StringRules":
            least, most = max(least, low), min(most, high)
    for name, value in affixes(rules).items():
        if name != "not_contains":
            least = max(least, len(value))
    return least, most


# Texts that may tell ------------------------------------------------------------------------------


def _texts(old: Any, new: Any, kind: str) -> Iterator[Any]:
    yield from named(old)
    yield from named(new)
    for text in _strings(old, new):
        yield text if kind == "string" else text.encode()


def _strings(old: Any, new: Any) -> Iterator[str]:
    yield from _SAMPLES
    lengths = sorted(set(_marks(old, new)))
    for size in lengths:
        for letter in ("a", "A", "1", "\u00e9", "\U0001f600"):
            yield letter * size
    patterns = {str(rules.pattern) for rules in (old, new) if _text(rules, "pattern")}
    for pattern in patterns:
        from meshpact.contracts.docs.patterns import COUNTS, readings  # late: all pages come along

        yield from readings(pattern, dict.fromkeys((*COUNTS, *lengths)))
    for rules in (old, new):
        parts = {name: _text(rules, name) for name in ("prefix", "contains", "suffix")}
        core = "".join(parts.values())
        yield core
        for name, part in parts.items():
            yield core.replace(part, "", 1) if part else name
        for size in lengths:
            filler = "x" * max(0, size - len(core))
            yield parts["prefix"] + filler + parts["contains"] + parts["suffix"]
        yield f"x{_text(rules, 'not_contains')}"


def _text(rules: Any, name: str) -> str:
    if rules is None or name not in rules.DESCRIPTOR.fields_by_name:
        return ""
    value = getattr(rules, name)
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def _marks(old: Any, new: Any) -> Iterator[int]:
    """Lengths on both sides of each bound, in characters and in bytes of one to four."""
    yield from (1, 2, 3)
    for rules in (old, new):
        if rules is None:
            continue
        bounds = [*size_bounds(rules), _lengths(rules)]
        for mark in (mark for pair in bounds for mark in pair if math.isfinite(mark)):
            for size in (mark, mark / 2, mark / 4):
                for step in (-1, 0, 1):
                    if 0 < size + step <= _LONGEST:
                        yield int(size + step)
