"""Where contracts stand: the .proto files below the user's roots. Loads nothing heavy."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path


def sources(roots: Sequence[Path]) -> dict[str, Path]:
    """The contracts below `roots`: name for imports (`acme/v1/a.proto`) -> path, by name.

    Raises WrongUse for a root that is no folder, for a name in two roots, and without contracts.
    """
    found: dict[str, Path] = {}
    for root in roots:
        if not root.is_dir():
            _refuse(f"{root} is not a folder: give the folder that holds your contracts")
        start = len(str(root / "x")) - 1
        for path in _below(root):
            name = path[start:]
            if name in found:
                _refuse(f"{name} stands in two roots, {found[name]} and {path}: keep one")
            found[name] = Path(path)
    if not found:
        folders = ", ".join(str(root) for root in roots)
        _refuse(f"there is no .proto file below {folders}: give the folder of your contracts")
    return dict(sorted(found.items()))


def _below(root: Path) -> Iterator[str]:
    """The .proto files below a root, hidden folders and virtual environments left out."""
    for folder, folders, files in os.walk(root):
        here = str(Path(folder, "x"))[:-1]
        folders[:] = [
            name
            for name in folders
            if not name.startswith(".") and not Path(folder, name, "pyvenv.cfg").exists()
        ]
        yield from (here + name for name in files if name.endswith(".proto"))


def _refuse(why: str) -> None:
    from meshpact.contracts.faults import WrongUse

    raise WrongUse(why)
