"""Where contracts stand: the .proto files below the user's roots. Loads nothing heavy.

A link to a file is followed while it stays below the roots and includes; one that leads out is
refused, and so is an import through any link that leads out. A link to a folder is not walked.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final, NoReturn

MAX_SOURCE: Final = 16 * 2**20
"""Bytes of one .proto that are read."""


def sources(roots: Sequence[Path], includes: Sequence[Path] = ()) -> dict[str, Path]:
    """The contracts below `roots`: name for imports (`acme/v1/a.proto`) -> path, by name.

    Raises WrongUse for a root that is no folder, for a name in two roots, for what cannot be read,
    is far too large or is a link out of `roots` and `includes`, and without contracts.
    """
    found: dict[str, Path] = {}
    tree = _Tree((*roots, *includes))
    for root in roots:
        if not root.is_dir():
            _refuse(f"{root} is not a folder: give the folder that holds your contracts")
        start = len(str(root / "x")) - 1
        for path in tree.below(str(root / "x")[:-1]):
            name = path[start:]
            if name in found:
                _refuse(f"{name} stands in two roots, {found[name]} and {path}: keep one")
            found[name] = Path(path)
    if not found:
        folders = ", ".join(str(root) for root in roots)
        _refuse(f"there is no .proto file below {folders}: give the folder of your contracts")
    return dict(sorted(found.items()))


def refuse_links_out(names: Iterable[str], roots: Sequence[Path], includes: Sequence[Path]) -> None:
    """Raise WrongUse for an import that a link takes from outside of `roots` and `includes`."""
    folders = (*roots, *includes)
    tree = _Tree(folders)
    for name in names:
        path = next((path for folder in folders if (path := folder / name).exists()), None)
        if path is not None and not tree.holds(str(path)):
            _refuse(link_out(f"the import {path}", os.path.realpath(path)))


def link_out(what: str, target: str) -> str:
    """The sentence for a link that leads out of the tree."""
    return (
        f"{what} is a link to {target}, outside of your contracts: put the file itself there, or "
        "give the folder that it is in, with --protos or --include"
    )


def too_large(path: str, size: int) -> str:
    """The sentence for a contract that nobody wrote by hand."""
    return f"{path} has {size:,} bytes; a contract may have {MAX_SOURCE:,}"


class _Tree:
    """Folders that belong together."""

    def __init__(self, folders: Sequence[Path]) -> None:
        self._inside = tuple(os.path.realpath(folder).rstrip("/") + "/" for folder in folders)

    def holds(self, path: str) -> bool:
        """Whether what a path leads to stands below one of the folders."""
        return os.path.realpath(path).startswith(self._inside)

    def below(self, folder: str) -> Iterator[str]:
        """The .proto files below a folder (which ends in a slash), hidden files, hidden folders and
        virtual environments left out."""
        waiting = [folder]
        while waiting:
            here = waiting.pop()
            entries = _listed(here)
            if here != folder and any(entry.name == "pyvenv.cfg" for entry in entries):
                continue
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(f"{here}{entry.name}/")
                elif entry.name.endswith(".proto") and self._is_contract(entry, here + entry.name):
                    yield here + entry.name

    def _is_contract(self, entry: os.DirEntry[str], path: str) -> bool:
        if entry.is_symlink():
            if Path(path).is_dir():
                return False
            if not self.holds(path):
                _refuse(link_out(path, str(Path(path).readlink())))
            if not Path(path).is_file():
                _refuse(f"{path} is a link to {Path(path).readlink()}, which is not there: mend it")
        elif not entry.is_file():
            _refuse(f"{path} is no file: give it another name, or take it away")
        if (size := entry.stat().st_size) > MAX_SOURCE:
            _refuse(too_large(path, size))
        return True


def _listed(folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder or ".") as found:
            return [entry for entry in found if not entry.name.startswith(".")]
    except FileNotFoundError:
        return []  # taken away a moment ago
    except OSError as error:
        _refuse(f"{folder} cannot be read: {error.strerror}")


def _refuse(why: str) -> NoReturn:
    from meshpact.contracts.faults import WrongUse

    raise WrongUse(why)
