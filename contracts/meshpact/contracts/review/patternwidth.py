"""How long the texts are that an RE2 pattern takes: where a length follows from the pattern, a
bound beside it says nothing more."""

from __future__ import annotations

import math
import re
from typing import Final

Width = tuple[float, float]
"""Characters at least and at most."""

ANY: Final[Width] = (0, math.inf)
_COUNT: Final = re.compile(r"\{(\d+)(?:(,)(\d*))?\}")
_GROUP: Final = re.compile(r"\?(?:P?<\w+>|[iU]*:)")
_BRACKETED: Final = re.compile(r"\{\^?\w+\}|\w")
_HEX: Final = re.compile(r"\{[0-9A-Fa-f]+\}|[0-9A-Fa-f]{2}")
_MOST_NESTED: Final = 50


def width(pattern: str) -> Width:
    """The lengths of the texts in which a pattern is found; ANY where it cannot be told."""
    try:
        reader = _Reader(pattern)
        found, anchored = reader.whole()
    except _Unclear:
        return ANY
    return found[0], found[1] if anchored else math.inf


class _Unclear(Exception):
    """The pattern has something that is not understood here."""


class _Reader:
    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._at = 0
        self._depth = 0

    def whole(self) -> tuple[Width, bool]:
        """The width of a match, and whether each match is the whole text."""
        found, anchored = self._alternatives()
        if self._at < len(self._pattern):
            raise _Unclear
        return found, anchored

    @property
    def _next(self) -> str:
        return self._pattern[self._at : self._at + 1]

    def _alternatives(self) -> tuple[Width, bool]:
        found, anchored = self._sequence()
        while self._next == "|":
            self._at += 1
            other, also = self._sequence()
            found = min(found[0], other[0]), max(found[1], other[1])
            anchored = anchored and also
        return found, anchored

    def _sequence(self) -> tuple[Width, bool]:
        start, least, most = self._at, 0.0, 0.0
        end = -1
        while self._next not in ("", "|", ")"):
            if self._next == "$":
                end = self._at
            (low, high), times = self._atom(), self._times()
            least += low * times[0]
            most += high * times[1] if high and times[1] else 0
        begins = re.compile(r"\^(?![*+?{])").match(self._pattern, start) is not None
        return (least, most), begins and end == self._at - 1

    def _times(self) -> Width:
        found: Width = 1, 1
        while True:
            if self._next and self._next in "*+?":
                some: Width = {"*": (0, math.inf), "+": (1, math.inf), "?": (0, 1)}[self._next]
                self._at += 1
            elif match := _COUNT.match(self._pattern, self._at):
                least = int(match[1])
                some = least, least if not match[2] else int(match[3]) if match[3] else math.inf
                self._at = match.end()
            else:
                return found
            if self._next == "?":
                self._at += 1
            found = found[0] * some[0], found[1] * some[1] if found[1] and some[1] else 0

    def _atom(self) -> Width:
        character = self._next
        self._at += 1
        if character in ("^", "$"):
            return 0, 0
        if character == "(":
            return self._group()
        if character == "[":
            return self._class()
        if character == "\\":
            return self._escape()
        return 1, 1

    def _group(self) -> Width:
        self._depth += 1
        if self._depth > _MOST_NESTED:
            raise _Unclear
        if self._next == "?":
            match = _GROUP.match(self._pattern, self._at)
            if match is None:
                raise _Unclear
            self._at = match.end()
        found, _ = self._alternatives()
        if self._next != ")":
            raise _Unclear
        self._at += 1
        self._depth -= 1
        return found

    def _escape(self) -> Width:
        character = self._next
        self._at += 1
        if character and character in "AzbB":
            return 0, 0
        for kinds, rest in (("pP", _BRACKETED), ("x", _HEX)):
            if character and character in kinds:
                match = rest.match(self._pattern, self._at)
                if match is None:
                    raise _Unclear
                self._at = match.end()
                return 1, 1
        if not character or character.isdigit() or character in "CQE":
            raise _Unclear
        return 1, 1

    def _class(self) -> Width:
        if self._next == "^":
            self._at += 1
        first = True
        while first or self._next != "]":
            first = False
            if posix := re.compile(r"\[:\^?\w+:\]").match(self._pattern, self._at):
                self._at = posix.end()
            elif self._next == "\\":
                self._at += 1
                self._escape()
            elif self._next:
                self._at += 1
            else:
                raise _Unclear
        self._at += 1
        return 1, 1
