"""What protoc lets pass in the text of a contract, though nobody can mean it: bytes that are not
UTF-8 in a comment, and a # in an option, which ends the option there without a word."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from meshpact.contracts.faults import Fault, Place

_HASH: Final = re.compile(
    r"""//[^\n]* | /\*.*?(?:\*/|\Z) | "(?:\\.|[^"\\\n])*" | '(?:\\.|[^'\\\n])*' | (?P<hash>\#)""",
    re.VERBOSE | re.DOTALL,
)


def faults(sources: Iterable[Path]) -> Iterator[Fault]:
    """The first such place of each file. OSError for one that cannot be read."""
    for path in sources:
        data = path.read_bytes()
        try:
            text = data.decode()
        except UnicodeDecodeError as error:
            message = f"the byte 0x{data[error.start]:02x} is not UTF-8"
            yield _fault(path, data[: error.start].decode(), message, "save the file as UTF-8")
            continue
        found = _hash(text) if "#" in text else None
        if found is not None:
            message = "# begins no comment in a contract: protoc drops the rest of the option"
            yield _fault(path, text[:found], message, "write //")


def _fault(path: Path, before: str, message: str, remedy: str) -> Fault:
    line, column = before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1
    return Fault(Place(str(path), line, column), "", message, remedy)


def _hash(text: str) -> int | None:
    """The offset of the first # that stands in no string and no comment."""
    return next((match.start() for match in _HASH.finditer(text) if match["hash"]), None)
