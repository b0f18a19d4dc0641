"""Where contracts stand: the .proto files below the user's roots. Loads nothing heavy.

A link to a file or a folder is followed while it stays below the roots and includes; one that leads
out is refused, and so is an import through any link that leads out. No folder is walked twice: what
stands below the roots by itself keeps that name, whatever links lead to it.
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
    has a name that protoc does not take, is far too large or is a link out of `roots` and
    `includes`, and without contracts.
    """
    found: dict[str, Path] = {}
    for folder in (*roots, *includes):
        if ":" in str(folder) or not str(folder).isprintable():
            _refuse(f"{str(folder)!r} is no folder that protoc can take: name it without a colon")
    for root in roots:
        if not root.is_dir():
            _refuse(f"{root} is not a folder: give the folder that holds your contracts")
    for root, path in below(roots, includes):
        name = path[len(str(root / "x")) - 1 :]
        if name.startswith(("-", "@")) or not name.isprintable():
            _refuse(f"{path!r} is no name for a contract: {name!r} means something else to protoc")
        if name in found:
            _refuse(f"{name} stands in two roots, {found[name]} and {path}: keep one")
        found[name] = Path(path)
    if not found:
        folders = ", ".join(str(root) for root in roots)
        _refuse(f"there is no .proto file below {folders}: give the folder of your contracts")
    return dict(sorted(found.items()))


def below(roots: Sequence[Path], includes: Sequence[Path] = ()) -> Iterator[tuple[Path, str]]:
    """Each root with each contract below it, in the order in which they are found.

    Raises WrongUse, also halfway, for what cannot be read and for links that lead out.
    """
    tree = _Tree((*roots, *includes))
    for root in roots:
        yield from ((root, path) for path in tree.below(root))
    yield from tree.linked()


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
    """Folders that belong together, and what of them was walked."""

    def __init__(self, folders: Sequence[Path]) -> None:
        self._inside = tuple(_real(str(folder)) for folder in folders)
        self._walked: set[str] = set()
        self._links: list[tuple[str, Path]] = []

    def holds(self, path: str) -> bool:
        """Whether what a path leads to stands below one of the folders, or is one."""
        return _real(path).startswith(self._inside)

    def below(self, root: Path, link: str = "") -> Iterator[str]:
        """The .proto files below a root, or below a link in it but for what was walked before.

        Hidden files, hidden folders and virtual environments are left out; links to folders are
        kept for `linked`.
        """
        folder = f"{link}/" if link else str(root / "x")[:-1]
        waiting = [folder]
        while waiting:
            here = waiting.pop()
            entries = _listed(here)
            if here != folder and any(entry.name == "pyvenv.cfg" for entry in entries):
                continue
            real = _real(here or ".")
            if link and real in self._walked:
                continue
            self._walked.add(real)
            for entry in entries:
                path = here + entry.name
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(f"{path}/")
                elif entry.is_symlink() and self._is_folder(path):
                    self._links.append((path, root))
                elif entry.name.endswith(".proto") and self._is_contract(entry, path):
                    yield path

    def linked(self) -> Iterator[tuple[Path, str]]:
        """What links alone lead to: each root with the .proto files behind its links."""
        while self._links:
            self._links.sort(reverse=True)
            link, root = self._links.pop()
            yield from ((root, path) for path in self.below(root, link))

    def _is_folder(self, link: str) -> bool:
        """Whether a link leads to a folder; refused where it leads out, or might have."""
        if Path(link).is_dir():
            if not self.holds(link):
                _refuse(link_out(link, str(Path(link).readlink())))
            return True
        if "." not in Path(link).name and not Path(link).exists():
            _refuse_dead(link)
        return False

    def _is_contract(self, entry: os.DirEntry[str], path: str) -> bool:
        if entry.is_symlink():
            if not self.holds(path):
                _refuse(link_out(path, str(Path(path).readlink())))
            if not Path(path).is_file():
                _refuse_dead(path)
        elif not entry.is_file():
            _refuse(f"{path} is no file: give it another name, or take it away")
        if (size := entry.stat().st_size) > MAX_SOURCE:
            _refuse(too_large(path, size))
        return True


def _real(path: str) -> str:
    """Where a path leads to, with a slash behind it."""
    return os.path.realpath(path).rstrip("/") + "/"


def _listed(folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder or ".") as found:
            entries = [entry for entry in found if not entry.name.startswith(".")]
    except FileNotFoundError:
        return []  # taken away a moment ago
    except OSError as error:
        _refuse(f"{folder} cannot be read: {error.strerror}")
    return sorted(entries, key=lambda entry: entry.name)


def _refuse_dead(link: str) -> NoReturn:
    _refuse(f"{link} is a link to {Path(link).readlink()}, which is not there: mend it")


def _refuse(why: str) -> NoReturn:
    from meshpact.contracts.faults import WrongUse

    raise WrongUse(why)
