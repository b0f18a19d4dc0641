"""A scanner of protobuf's text format as it stands in options: which field stands where.

It reads only what protoc has accepted already, so it never complains.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

_TOKEN: Final = re.compile(
    r"""(?P<skip>\s+|//[^\n]*|/\*.*?\*/)
      | (?P<string>"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')
      | (?P<word>[\w.+-]+)
      | (?P<mark>.)""",
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True)
class Entry:
    """One field: its names from the outermost down, its offset in the text, its scalar's text.

    Several elements of a list are several entries, each at its own offset. `text` is without
    quotes, and empty for a message.
    """

    names: tuple[str, ...]
    offset: int
    text: str = ""


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str
    offset: int


def scan(statement: str) -> list[Entry]:
    """The fields below the `=` of an option's statement, outer ones before those inside them."""
    tokens = _Tokens(statement)
    depth = 0
    while tokens.text and not (depth == 0 and tokens.text == "="):
        depth += (tokens.text in ("(", "[")) - (tokens.text in (")", "]"))
        tokens.next()
    tokens.next()
    return list(_value(tokens, (), tokens.offset))


class _Tokens:
    def __init__(self, text: str) -> None:
        self._tokens = [
            _Token(match.lastgroup or "", match.group(), match.start())
            for match in _TOKEN.finditer(text)
            if match.lastgroup != "skip"
        ]
        self._end = _Token("end", "", len(text))
        self._at = 0

    @property
    def current(self) -> _Token:
        return self._tokens[self._at] if self._at < len(self._tokens) else self._end

    @property
    def text(self) -> str:
        return self.current.text

    @property
    def offset(self) -> int:
        return self.current.offset

    def next(self) -> _Token:
        token = self.current
        self._at += 1
        return token


def _value(tokens: _Tokens, names: tuple[str, ...], offset: int) -> Iterator[Entry]:
    if tokens.text in ("{", "<"):
        if names:
            yield Entry(names, offset)
        yield from _message(tokens, names)
    elif tokens.text == "[":
        tokens.next()
        yield from _elements(tokens, names)
    else:
        yield Entry(names, offset, _scalar(tokens))


def _scalar(tokens: _Tokens) -> str:
    if tokens.current.kind != "string":
        return tokens.next().text
    text = ""
    while tokens.current.kind == "string":  # strings beside each other are one
        text += tokens.next().text[1:-1]
    return text


def _elements(tokens: _Tokens, names: tuple[str, ...]) -> Iterator[Entry]:
    while tokens.text not in ("]", ""):
        if tokens.text == ",":
            tokens.next()
        else:
            yield from _value(tokens, names, tokens.offset)
    tokens.next()


def _message(tokens: _Tokens, names: tuple[str, ...]) -> Iterator[Entry]:
    closing = "}" if tokens.next().text == "{" else ">"
    while tokens.text not in (closing, ""):
        if tokens.current.kind != "word":
            tokens.next()
            continue
        name = tokens.next()
        if tokens.text == ":":
            tokens.next()
        yield from _value(tokens, (*names, name.text), name.offset)
    tokens.next()
