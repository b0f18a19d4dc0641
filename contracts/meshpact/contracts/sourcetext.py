"""What protoc lets pass in the text of a contract, though nobody can mean it: bytes that are not
UTF-8 in a comment, and a # in an option, which ends the option there without a word."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from meshpact.contracts.faults import Fault, Place

_TOKEN: Final = re.compile(
    r"""(?P<comment>//[^\n]* | /\*.*?(?:\*/|\Z))
      | (?P<string>"(?:\\.|[^"\\\n])*" | '(?:\\.|[^'\\\n])*')
      | (?P<hash>\#) | (?P<open>[{]) | (?P<close>[}])""",
    re.VERBOSE | re.DOTALL,
)
_SHOWN: Final = 120
"""Characters of what protoc drops that are shown."""


@dataclass(frozen=True)
class Oddity:
    """One such place. `effect` is what protoc makes of it, in a sentence; "" where that is not
    known, as the bytes stand outside of a comment."""

    fault: Fault
    effect: str


def faults(sources: Iterable[Path]) -> Iterator[Fault]:
    """The first such place of each file. OSError for one that cannot be read."""
    for path in sources:
        found = next(oddities(path), None)
        if found is not None:
            yield found.fault


def oddities(path: Path) -> Iterator[Oddity]:
    """Bytes that are not UTF-8, or else each # that ends an option."""
    data = path.read_bytes()
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        message = f"the byte 0x{data[error.start]:02x} is not UTF-8"
        before = data[: error.start].decode()
        effect = f"{message}, in a comment" if _only_in_comments(data) else ""
        yield Oddity(_fault(path, before, message, "save the file as UTF-8"), effect)
        if effect:
            yield from _hashes(path, data.decode(errors="replace"))
        return
    if "#" in text:
        yield from _hashes(path, text)


def _only_in_comments(data: bytes) -> bool:
    text = data.decode(errors="surrogateescape")
    bare = _TOKEN.sub(lambda match: "" if match["comment"] else match[0], text)
    return bare.isascii() or not any("\udc80" <= each <= "\udcff" for each in bare)


def _hashes(path: Path, text: str) -> Iterator[Oddity]:
    message = "# begins no comment in a contract: protoc drops the rest of the option"
    end = 0
    for match in _TOKEN.finditer(text):
        if match["hash"] and match.start() >= end:
            end = _end(text, match.end())
            dropped = textwrap.shorten(text[match.start() : end], _SHOWN, placeholder=" ...")
            effect = (
                f"protoc drops the rest of the option, and it was in force for nobody: {dropped}"
            )
            yield Oddity(_fault(path, text[: match.start()], message, "write //"), effect)


def _end(text: str, at: int) -> int:
    """Where the braces end that a place stands in."""
    depth = 0
    for match in _TOKEN.finditer(text, at):
        depth += bool(match["open"]) - bool(match["close"])
        if depth < 0:
            return match.start()
    return len(text)


def _fault(path: Path, before: str, message: str, remedy: str) -> Fault:
    line, column = before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1
    return Fault(Place(str(path), line, column), "", message, remedy)
