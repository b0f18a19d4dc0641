"""What the last run of the generator read and wrote, so that a run with nothing to do ends at once.

A manifest is a hint that may be lost, stale or spoilt at any time. It is believed only while every
contract, import, program file and generated file is what it says; contracts and generated files are
read and hashed each time. This module loads nothing heavy: that is its point.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

from meshpact.contracts.leftovers import left_behind
from meshpact.contracts.roots import sources

_FORMAT: Final = 1
_DOUBT: Final = 100_000_000
"""Nanoseconds: clocks of file systems may lag behind by less."""


@dataclass(frozen=True)
class Request:
    """What a run is asked for."""

    roots: tuple[Path, ...]
    out: Path
    includes: tuple[Path, ...] = ()

    @property
    def key(self) -> str:
        """Stands for the request, wherever it is made from: 16 hexadecimal digits."""
        parts = [
            [str(path.absolute()) for path in paths]
            for paths in (self.roots, (self.out,), self.includes)
        ]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Start:
    """The contracts as they were when a run began, and when that was (ns since the epoch)."""

    time: int
    sources: dict[str, list[str | None]]

    @staticmethod
    def of(request: Request) -> Start:
        """Now. Raises WrongUse as `sources` does."""
        return Start(time.time_ns(), _sources(request))


class Manifests:
    """The manifests in a folder that is not committed, one for each request."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def unchanged(self, request: Request) -> int | None:
        """How many files are up to date, where a manifest proves that all are; else None."""
        kept = self._read(request)
        if kept is None:
            return None
        try:
            outputs = cast("dict[str, str]", kept["outputs"])
            holds = (
                kept["program"] == _program()
                and all(_stamp(path) == stamp for path, stamp in kept["tools"].items())
                and kept["sources"] == _sources(request)
                and all(_hash(path) == known for path, known in kept["imports"].items())
                and all(_hash(request.out / path) == known for path, known in outputs.items())
                and not left_behind(request.out, outputs)
            )
        except (KeyError, TypeError, AttributeError, ValueError, OSError):
            return None
        return len(outputs) if holds else None

    def remember(
        self,
        request: Request,
        start: Start,
        imports: Iterable[Path],
        packages: Sequence[str],
        content: Mapping[str, bytes],
    ) -> None:
        """Keep what a run read and what `content` it is about to leave below `out`.

        `imports` are the files that were imported, and those that would have been, had they been
        there; `packages` are run in processes of their own, the program is what is loaded here.
        Nothing is kept where one of these changed during the run, or the folder cannot be written.
        """
        tools = {path: _stamp(path) for path in sorted({*_loaded(), *_files(packages)})}
        read = sorted({str(path.absolute()) for path in imports})
        stamps = (*tools.values(), *map(_stamp, read))
        if any(stamp is not None and stamp[2] > start.time - _DOUBT for stamp in stamps):
            return
        kept = {
            "format": _FORMAT,
            "program": _program(),
            "tools": tools,
            "sources": start.sources,
            "imports": {path: _hash(path) for path in read},
            "outputs": {path: _digest(data) for path, data in content.items()},
        }
        with contextlib.suppress(OSError):
            # The folder above is the state directory of a mesh, or becomes it.
            for folder in (self._folder.parent, self._folder):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            ignored = self._folder / ".gitignore"
            if not ignored.exists():
                ignored.write_text("*\n", encoding="utf-8")
            _replace(self._path(request), json.dumps(kept).encode())

    def _path(self, request: Request) -> Path:
        return self._folder / f"generate-{request.key}.json"

    def _read(self, request: Request) -> dict[str, Any] | None:
        try:
            kept: object = json.loads(self._path(request).read_bytes())
        except (OSError, ValueError, RecursionError):
            return None
        if not isinstance(kept, dict):
            return None
        found = cast("dict[str, Any]", kept)
        return found if found.get("format") == _FORMAT else None


def _program() -> list[object]:
    """Which Python runs, and where it finds its modules."""
    return [sys.version, sys.executable, __file__, sys.path]


def _sources(request: Request) -> dict[str, list[str | None]]:
    found = sources(request.roots, request.includes)
    return {name: [str(path), _hash(path)] for name, path in found.items()}


def _loaded() -> set[str]:
    """The files of all modules of this process."""
    files = (getattr(module, "__file__", None) for module in tuple(sys.modules.values()))
    return {file for file in files if isinstance(file, str)}


def _files(packages: Sequence[str]) -> set[str]:
    """The Python files and libraries of packages that need not be loaded here."""
    from importlib.util import find_spec

    found: set[str] = set()
    for package in packages:
        spec = find_spec(package)
        for folder in (spec.submodule_search_locations or []) if spec else []:
            found |= {str(p) for p in Path(folder).rglob("*") if p.suffix in (".py", ".so")}
    return found


def _stamp(path: str) -> list[int] | None:
    """Size, times of change and of status change in ns, inode; None: not there."""
    try:
        stat = os.stat(path)  # noqa: PTH116 - for a thousand files, each time
    except (FileNotFoundError, NotADirectoryError):
        return None
    return [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino]


def _hash(path: str | Path) -> str | None:
    """The digest of a file's bytes; None: not there, or no file."""
    try:
        with open(path, "rb", buffering=0) as file:  # noqa: PTH123 - for a thousand files
            return _digest(file.read())
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return None


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _replace(path: Path, data: bytes) -> None:
    import tempfile

    descriptor, name = tempfile.mkstemp(prefix=".manifest-", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        Path(name).replace(path)
    except OSError:
        Path(name).unlink(missing_ok=True)
        raise
