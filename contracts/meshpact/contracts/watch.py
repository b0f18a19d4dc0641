"""Waits for contracts to change: a look at times and sizes, as often as it is told to look."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from meshpact.contracts import roots
from meshpact.contracts.faults import WrongUse

_State = dict[str, tuple[int, int, int]]


class Watch:
    """The .proto files below some folders, seen from time to time.

    `pause` lets some time pass (about a third of a second is pleasant).
    """

    def __init__(self, folders: Sequence[Path], pause: Callable[[], None]) -> None:
        self._folders = folders
        self._pause = pause
        self._seen = self._look()

    def changed(self) -> None:
        """Return once something differs from what was there when this last returned (or from the
        beginning), and is not being written any more."""
        while (now := self._look()) == self._seen:
            self._pause()
        while True:
            self._pause()
            later = self._look()
            if later == now:
                break
            now = later
        self._seen = now

    def _look(self) -> _State:
        found: _State = {}
        for path in _below(self._folders):
            try:
                stat = os.stat(path)  # noqa: PTH116 - for thousands of files, each time
            except OSError:
                continue
            found[path] = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
        return found


def _below(folders: Sequence[Path]) -> Iterator[str]:
    """The contracts, links followed; and whatever looks like one, where a run would refuse some."""
    with suppress(WrongUse, OSError):
        yield from (path for _, path in roots.below(folders))
        return
    for root in folders:
        yield from _looks_like_one(root)


def _looks_like_one(root: Path) -> Iterator[str]:
    for folder, folders, files in os.walk(root):
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (f"{folder}/{name}" for name in files if name.endswith(".proto"))
