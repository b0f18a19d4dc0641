"""Comments of contracts cut into paragraphs, lists and code, for HTML and Markdown alike."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

_BULLET: Final = re.compile(r"\s{0,3}(?:[-*]|\d+[.)])\s+(.*)")
_CODE: Final = re.compile(r"(`[^`\n]+`)")


@dataclass(frozen=True)
class Block:
    """A paragraph (one item), a list, or code (its lines)."""

    kind: Literal["paragraph", "list", "code"]
    items: tuple[str, ...]


def blocks(comment: str) -> Iterator[Block]:
    """The blocks of a comment."""
    for text in re.split(r"\n[ \t]*\n", comment.strip("\n")):
        lines = text.split("\n")
        if all(line.startswith(("    ", "\t")) for line in lines if line.strip()):
            if text.strip():
                yield Block("code", tuple(line.removeprefix("    ") for line in lines))
            continue
        before: list[str] = []
        items: list[str] = []
        for line in lines:
            if bullet := _BULLET.fullmatch(line):
                items.append(bullet[1])
            elif items:
                items[-1] += " " + line.strip()
            else:
                before.append(line.strip())
        if before:
            yield Block("paragraph", (" ".join(before),))
        if items:
            yield Block("list", tuple(items))


def pieces(text: str) -> Iterator[tuple[bool, str]]:
    """The pieces of a line: whether each is code in backticks, and its text without them."""
    for piece in _CODE.split(text):
        if _CODE.fullmatch(piece):
            yield True, piece[1:-1]
        elif piece:
            yield False, piece
