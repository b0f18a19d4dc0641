"""Contracts are text in UTF-8: protoc takes anything in a comment, and no reader of it can."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from meshpact.contracts.faults import Fault, Place


def faults(sources: Iterable[Path]) -> Iterator[Fault]:
    """Where each file that is not UTF-8 ceases to be. OSError for one that cannot be read."""
    for path in sources:
        data = path.read_bytes()
        try:
            data.decode()
        except UnicodeDecodeError as error:
            before = data[: error.start].decode()
            line = before.count("\n") + 1
            column = len(before) - (before.rfind("\n") + 1) + 1
            yield Fault(
                Place(str(path), line, column),
                "",
                f"the byte 0x{data[error.start]:02x} is not UTF-8",
                "save the file as UTF-8",
            )
