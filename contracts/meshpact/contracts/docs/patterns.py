"""A text that an RE2 pattern takes, for examples. Gives up ("") where it cannot tell."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

from meshpact.contracts.docs.re2 import matches

_GOOD: Final = "A1B2C3D4E5F6G7H8J9K0abcdefghijklmnopqrstuvwxyzILMNOPQRSTUVWXYZ-_. "
_CLASSES: Final = {"d": "1203456789", "w": _GOOD[:-3] + "_", "s": " "}
_POSIX: Final = {
    "alpha": "ABCabc",
    "digit": "1203",
    "alnum": "A1B2C3",
    "upper": "ABC",
    "lower": "abc",
    "xdigit": "a1b2c3",
    "space": " ",
    "word": "A1B2C3_",
}
_ESCAPES: Final = {"t": "\t", "n": "\n", "r": "\r", "f": "\f", "v": "\v", "a": "\a"}
_QUANTIFIER: Final = re.compile(r"\{(\d+)(,(\d*))?\}")
_USUAL: Final = 6
"""Repetitions where the pattern leaves it open."""
COUNTS: Final = (_USUAL, 0, 1, 2, 3, 4, 8, 12, 16, 24, 32, 64)
_MOST_READ: Final = 20_000
"""Atoms that are read for one text: repetitions of repetitions would never end."""


def matching(pattern: str, least: int = 0, most: int = 10_000) -> str:
    """A text of `least` to `most` characters that matches, "" when none is found."""
    for text in readings(pattern, (*COUNTS, least)):
        if least <= len(text) <= most and matches(pattern, text):
            return text
    return ""


def readings(pattern: str, counts: Iterable[int]) -> Iterator[str]:
    """Texts that may match, where all that may be repeated is there so often as each of `counts`
    says; none where the pattern is not understood."""
    reader = _Reader(pattern)
    for count in counts:
        try:
            yield reader.read(count)
        except _TooLong:
            continue
        except (_Unclear, RecursionError):
            return


class _Unclear(Exception):
    """The pattern has something that is not understood here."""


class _TooLong(Exception):
    """The text would have too many parts."""


class _Reader:
    """Reads a pattern from left to right and writes what it takes; of alternatives the first."""

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._usual = _USUAL
        self._at = self._read = 0
        self._classes: dict[int, tuple[int, str]] = {}

    def read(self, usual: int) -> str:
        self._usual, self._at, self._read = usual, 0, 0
        text = self._alternatives()
        if self._at < len(self._pattern):
            raise _Unclear
        return text

    @property
    def _next(self) -> str:
        return self._pattern[self._at : self._at + 1]

    def _alternatives(self) -> str:
        first = self._sequence()
        while self._next == "|":
            self._at += 1
            self._sequence()
        return first

    def _sequence(self) -> str:
        text = ""
        while self._next not in ("", "|", ")"):
            start = self._at
            piece = self._atom(0)
            after = self._at
            count = self._count()
            end = self._at
            for number in range(count):
                if number:
                    self._at = start
                    piece = self._atom(number)
                text += piece
            self._at = max(end, after)
        return text

    def _count(self) -> int:
        least, most = 1, 1
        if self._next in ("*", "+", "?") and self._next:
            least, most = {"*": (0, 99), "+": (1, 99), "?": (0, 1)}[self._next]
            self._at += 1
        elif match := _QUANTIFIER.match(self._pattern, self._at):
            least = int(match[1])
            most = least if match[2] is None else int(match[3]) if match[3] else 99
            self._at = match.end()
        else:
            return 1
        if self._next == "?":
            self._at += 1
        return max(least, min(most, self._usual))

    def _atom(self, number: int) -> str:
        character = self._next
        self._at += 1
        self._read += 1
        if self._read > _MOST_READ:
            raise _TooLong
        if character in ("^", "$"):
            return ""
        if character == ".":
            return "A1B2C3"[number % 6]
        if character == "(":
            return self._group()
        if character == "[":
            return self._class(number)
        if character == "\\":
            return self._escape(number)
        return character

    def _group(self) -> str:
        if self._next == "?":
            match = re.compile(r"\?(?:P?<\w+>|[imsU-]*:|[imsU-]*(?=\)))").match(
                self._pattern, self._at
            )
            if match is None or "i" in match[0].partition("<")[0]:
                raise _Unclear
            self._at = match.end()
        text = self._alternatives()
        if self._next != ")":
            raise _Unclear
        self._at += 1
        return text

    def _escape(self, number: int) -> str:
        character = self._next
        self._at += 1
        if character in ("A", "z", "b", "B"):
            return ""
        choice = self._set(character)
        return choice[number % len(choice)]

    def _set(self, character: str) -> str:
        """What an escape stands for."""
        if character in _CLASSES:
            return _CLASSES[character]
        if character in ("D", "W", "S"):
            refused = _CLASSES[character.lower()]
            return "".join(each for each in _GOOD + "#" if each not in refused)
        if character == "p":
            match = re.compile(r"\{\^?\w+\}|\w").match(self._pattern, self._at)
            if match is None:
                raise _Unclear
            self._at = match.end()
            return {"L": "Aa", "N": "123", "Z": " "}.get(match[0].strip("{}")[:1], "Aa")
        if character in _ESCAPES:
            return _ESCAPES[character]
        if character.isalnum():
            raise _Unclear
        return character

    def _class(self, number: int) -> str:
        """One character of a set; the same set is read again for each repetition."""
        start = self._at
        if start not in self._classes:
            choice = self._choice()
            self._classes[start] = self._at, choice
        self._at, choice = self._classes[start]
        return choice[number % len(choice)]

    def _choice(self) -> str:
        start = self._at - 1
        negated = self._next == "^"
        self._at += negated
        allowed = ""
        first = True
        while first or self._next != "]":
            first = False
            if not self._next:
                raise _Unclear
            allowed += self._member()
        self._at += 1
        if negated:
            taken = self._pattern[start : self._at]
            allowed = "".join(each for each in _GOOD if matches(taken, each))
        if not allowed:
            raise _Unclear
        good = [each for each in _GOOD if each in allowed and each not in "-_. "]
        return "".join(good or sorted(set(allowed)))

    def _member(self) -> str:
        posix = re.compile(r"\[:(\w+):\]").match(self._pattern, self._at)
        if posix is not None:
            self._at = posix.end()
            return _POSIX.get(posix[1], "")
        low = self._one()
        is_range = self._next == "-" and self._pattern[self._at + 1 : self._at + 2] not in ("]", "")
        if not is_range or len(low) > 1:
            return low
        self._at += 1
        high = self._one()
        return "".join(chr(code) for code in range(ord(low), min(ord(high), ord(low) + 255) + 1))

    def _one(self) -> str:
        character = self._next
        self._at += 1
        if character != "\\":
            return character
        escaped = self._next
        self._at += 1
        return self._set(escaped)
