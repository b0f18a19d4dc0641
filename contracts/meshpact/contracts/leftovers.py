"""Generated files whose contract is gone: known by the header that every generated file bears."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from meshpact.contracts import names

SUFFIXES: Final = ("_pb2.py", "_pb2.pyi", "_mesh.py")
_HEADER: Final = re.compile(re.escape(names.header("@")).replace("@", r"(?P<name>\S+\.proto)"))


def left_behind(out: Path, content: Iterable[str]) -> list[str]:
    """The files below `out` that an earlier run wrote and this one does not, sorted.

    A file counts only where it names, in our header, the contract that belongs at its place. A
    py.typed goes with the last file beside it.
    """
    wanted = set(content)
    found: list[str] = []
    for folder, folders, files in os.walk(out):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        here = Path(folder)
        gone = [name for name in files if _is_left(out, here / name, wanted)]
        marker = here / "py.typed"
        alone = not folders and set(files) == {*gone, "py.typed"} if gone else False
        if alone and not marker.stat().st_size:
            gone.append("py.typed")
        found += [(here / name).relative_to(out).as_posix() for name in gone]
    return sorted(found)


def _is_left(out: Path, path: Path, wanted: set[str]) -> bool:
    if not path.name.endswith(SUFFIXES):
        return False
    relative = path.relative_to(out).as_posix()
    if relative in wanted:
        return False
    with path.open("rb") as file:
        first = file.readline(4096).decode(errors="replace").rstrip("\n")
    match = _HEADER.fullmatch(first)
    return match is not None and any(
        relative == names.module_path(match["name"], suffix) for suffix in SUFFIXES
    )
