"""Python source laid out as formatters have it: lines of at most 100 columns, docstrings, text."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

WIDTH: Final = 100


@dataclass(frozen=True)
class Group:
    """Items between brackets. A `display` (tuple, dict) that is broken has one item a line."""

    head: str
    items: Sequence[Node]
    tail: str
    display: bool = False

    def flat(self) -> str:
        """The whole on one line."""
        inner = ", ".join(flat(item) for item in self.items)
        lonely = self.display and len(self.items) == 1 and self.head.endswith("(")
        return f"{self.head}{inner}{',' if lonely else ''}{self.tail}"


Node = str | Group


def flat(node: Node) -> str:
    """A node on one line."""
    return node if isinstance(node, str) else node.flat()


def lay(node: Node, indent: int = 0, after: str = "") -> list[str]:
    """The lines of a node at an indent of so many columns, with `after` behind it."""
    line = " " * indent + flat(node) + after
    if isinstance(node, str) or len(line) <= WIDTH or not node.items:
        return [line]
    lines = [" " * indent + node.head]
    inner = " " * (indent + 4) + ", ".join(flat(item) for item in node.items)
    if not node.display and len(inner) <= WIDTH:
        lines.append(inner)
    else:
        lone = not node.display and len(node.items) == 1
        for item in node.items:
            lines += lay(item, indent + 4, "" if lone else ",")
    return [*lines, " " * indent + node.tail + after]


def explode(node: Group, indent: int = 0) -> list[str]:
    """The lines of a group with one item a line, however short."""
    lines = [" " * indent + node.head]
    for item in node.items:
        lines += lay(item, indent + 4, ",")
    return [*lines, " " * indent + node.tail]


def docstring(text: str, indent: int) -> list[str]:
    """The lines of a docstring; paragraphs too wide for the indent are filled anew."""
    escaped = _trimmed(text).replace("\\", "\\\\").replace('"""', '\\"\\"\\"')
    escaped = "".join(c if c == "\n" else _printable(c) for c in escaped)
    if escaped.endswith('"'):
        escaped = escaped[:-1] + '\\"'
    if escaped.startswith('"'):
        escaped = "\\" + escaped
    if "\n" not in escaped and indent + len(escaped) + 6 > WIDTH:
        escaped = _halve(escaped, WIDTH - indent)
    lines: list[str] = []
    for paragraph in escaped.split("\n\n"):
        if lines:
            lines.append("")
        lines += _fit(paragraph, WIDTH - indent, first=not lines)
    pad = " " * indent
    lines[0] = '"""' + lines[0]
    if len(lines) == 1 and len(pad) + len(lines[0]) + 3 <= WIDTH:
        return [pad + lines[0] + '"""']
    return [*(pad + line if line else "" for line in lines), pad + '"""']


def _trimmed(text: str) -> str:
    """The text without what means nothing in a docstring (PEP 257): tabs, margins, outer blanks."""
    lines = [line.rstrip() for line in text.expandtabs().strip("\n").split("\n")]
    return "\n".join(
        [lines[0].lstrip(), *textwrap.dedent("\n".join(lines[1:])).split("\n")]
    ).strip()


def _fit(paragraph: str, width: int, *, first: bool) -> list[str]:
    lines = paragraph.split("\n")
    room = width - 3 if first else width
    if len(lines[0]) <= room and all(len(line) <= width for line in lines):
        return lines
    if any(line[:1] in (" ", "-", "*", "|") for line in lines):  # a list or a table stays as it is
        return lines
    filled = textwrap.wrap(
        " ".join(lines),
        width=width,
        initial_indent="   " if first else "",
        break_long_words=False,
        break_on_hyphens=False,
    )
    return [filled[0].removeprefix("   ") if first else filled[0], *filled[1:]]


def _halve(text: str, width: int) -> str:
    """One line as several, so that there is room for the quotes at both ends."""
    return "\n".join(textwrap.wrap(text, width - 6, break_long_words=False, break_on_hyphens=False))


def literal(text: str) -> str:
    """A string literal, with the quotes that need fewer escapes."""
    quote = "'" if '"' in text and "'" not in text else '"'
    body = "".join(_escape(character, quote) for character in text)
    return f"{quote}{body}{quote}"


def assign_string(name: str, text: str, indent: int) -> list[str]:
    """`name = "text"`, in several pieces when it is long."""
    pad = " " * indent
    line = f"{pad}{name} = {literal(text)}"
    if len(line) <= WIDTH:
        return [line]
    pieces = textwrap.wrap(
        text,
        width=WIDTH - indent - 4 - 10,
        drop_whitespace=False,
        replace_whitespace=False,
        expand_tabs=False,
        break_long_words=False,
        break_on_hyphens=False,
    )
    if len(pieces) == 1:
        return [line]
    return [f"{pad}{name} = (", *(f"{pad}    {literal(piece)}" for piece in pieces), f"{pad})"]


def _escape(character: str, quote: str) -> str:
    if character in ("\\", quote):
        return "\\" + character
    if character == "\n":
        return "\\n"
    return _printable(character)


def _printable(character: str) -> str:
    """The character, or its escape where an editor would not show it (or show it elsewhere)."""
    if character.isprintable():
        return character
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\U{code:08x}"
