"""Directories of keys that are made whole or not at all, and reading them back with clear words."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from meshpact.certs.files import private_directory, sync_directory


class BrokenDirectory(Exception):
    """A file of a directory is amiss; the text names it and what is wrong with it."""

    def __init__(self, path: Path, fault: str) -> None:
        super().__init__(f"{path} {fault}")


def exists(directory: Path) -> bool:
    """Whether there is anything in a directory."""
    return directory.is_dir() and any(directory.iterdir())


def make_whole(directory: Path, fill: Callable[[Path], None]) -> None:
    """Fills a new directory (0700) aside and puts it in place by one rename.

    When another process puts its own there first, that one stays.
    """
    if not directory.parent.is_dir():
        private_directory(directory.parent)
    aside = Path(tempfile.mkdtemp(prefix=f".{directory.name}.", dir=directory.parent))
    try:
        fill(aside)
        try:
            aside.rename(directory)
        except OSError:
            if not exists(directory):
                raise
        else:
            sync_directory(directory.parent)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def leftovers(directory: Path) -> list[Path]:
    """What a crash during `make_whole` left beside a directory: nobody uses it."""
    aside = directory.parent.glob(f".{directory.name}.*")
    return sorted(path for path in aside if path.is_dir())


def read_file(path: Path) -> bytes:
    """The content of a file. BrokenDirectory when it is missing or cannot be read."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise BrokenDirectory(path, "is missing") from None
    except OSError as error:
        raise BrokenDirectory(path, f"cannot be read ({error.strerror})") from None
