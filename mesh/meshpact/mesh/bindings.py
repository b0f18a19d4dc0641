"""Role bindings that follow their files without a restart.

A changed file is read and compiled aside, then put in place by one assignment. A bad one is refused
and reported, and the bindings stay what they were. Other parts of mesh.yaml need a restart.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import sys
import threading
import time
from collections.abc import Callable, Generator, Sequence
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

from meshpact.certs.identity import Subscribers
from meshpact.mesh.config import MeshConfig, load
from meshpact.mesh.problems import MeshFileError, Problem
from meshpact.mesh.renames import renamed
from meshpact.mesh.roles import RoleBindings as RoleBindings
from meshpact.mesh.roles import compiling, finish

INTERVAL: Final = 0.25
"""Seconds between two looks at the files."""

BUDGET: Final = 0.001
"""Seconds of reading between two turns of the event loop."""

_log: Final = logging.getLogger(__name__)

_FIXED: Final = tuple(
    field
    for field in MeshConfig.__struct_fields__
    if field not in ("roles", "bindings_file", "methods", "denied")
)
"""The parts of mesh.yaml that count as they were at the start."""

T = TypeVar("T")
_HELD_HERE_ALONE: Final = 2
_Stamp = tuple[int, int, int]
_Stamps = dict[Path, _Stamp]


class Reloader:
    """The role bindings of a mesh.yaml and its bindings_file, kept up to date.

    The first load happens at once and raises MeshFileError when a file is bad. Then `watch` (aio)
    or `watch_thread` looks at the files' times, sizes and inodes every `interval` seconds.
    On a loop, reading goes on for `budget` seconds at a time, then the loop has its turn.
    `refused` is told of each bad state once (default: a log line), `loaded` of each new set of
    bindings, `waiting` of changes that need a restart (default: a log line). Readers take `current`
    anew for each call; any thread may.
    """

    def __init__(
        self,
        path: Path | str,
        *,
        refused: Callable[[MeshFileError], None] | None = None,
        loaded: Callable[[RoleBindings], None] | None = None,
        waiting: Callable[[str], None] = _log.warning,
        interval: float = INTERVAL,
        budget: float = BUDGET,
    ) -> None:
        self._path = Path(path)
        self._refused = refused or _log_refusal
        self._loaded = loaded
        self._waiting = waiting
        self._subscribers = Subscribers()
        self._interval = interval
        self._budget = budget
        self._lock = threading.Lock()
        self._turns = itertools.count(1)
        self._settled = 0
        self._checks: list[Callable[[MeshConfig], Sequence[Problem]]] = []
        self._read: tuple[_Stamp, MeshConfig] | None = None
        self._config, self._stamps = self._read_config({self._path: _stamp(self._path)})
        self._checks.append(partial(renamed, self._path, self._config))
        self.current: RoleBindings = RoleBindings.compile(self._config)

    def require(self, check: Callable[[MeshConfig], Sequence[Problem]]) -> None:
        """Refuses, from now on, every mesh.yaml in which `check` finds a problem.

        MeshFileError when it finds one in what was read last.
        """
        self._checks.append(check)
        self._raise_problems(self._config)

    def subscribe(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Runs `callback` after each new set of bindings is in place, until what is returned is
        called; on the thread that read them."""
        return self._subscribers.add(callback)

    def changed(self) -> bool:
        """Whether a file is not what it was when it was last read."""
        return any(_stamp(path) != stamp for path, stamp in self._stamps.items())

    async def reload(self) -> bool:
        """Reads the files, in slices between turns of the loop; True when their bindings now hold.

        False when they are bad, or are being written right now: `changed` says so then.
        """
        turn, before = self._begin()
        old = self.current
        try:
            # YAML is slow, but bounded in size: a thread lets the loop go on meanwhile.
            config, stamps = await asyncio.to_thread(self._read_config, before)
            bindings = await _in_slices(compiling(config), self._budget)
            accepted = self._accept(turn, stamps, config, bindings)
        except MeshFileError as error:
            return self._refuse(turn, before, error)
        # Held here and by getrefcount alone: no call is judged by them any more.
        if accepted and sys.getrefcount(old) == _HELD_HERE_ALONE:
            await _in_slices(old.dissolving(), self._budget)
        return accepted

    def reload_sync(self) -> bool:
        """`reload` for threads."""
        turn, before = self._begin()
        try:
            config, stamps = self._read_config(before)
            return self._accept(turn, stamps, config, finish(compiling(config)))
        except MeshFileError as error:
            return self._refuse(turn, before, error)

    async def watch(self) -> None:
        """Follows the files until the task is cancelled."""
        while True:
            await asyncio.sleep(self._interval)
            try:
                if self.changed():
                    await self.reload()
            except Exception:
                _log.exception("role bindings could not be looked at; trying again")

    def watch_thread(self) -> Callable[[], None]:
        """Follows the files from a thread of its own; returns what stops and joins it."""
        stop = threading.Event()

        def follow() -> None:
            while not stop.wait(self._interval):
                try:
                    if self.changed():
                        self.reload_sync()
                except Exception:
                    _log.exception("role bindings could not be looked at; trying again")

        thread = threading.Thread(target=follow, name="meshpact-bindings", daemon=True)
        thread.start()

        def end() -> None:
            stop.set()
            thread.join()

        return end

    def _begin(self) -> tuple[int, _Stamps]:
        return next(self._turns), {path: _stamp(path) for path in self._stamps}

    def _read_config(self, before: _Stamps) -> tuple[MeshConfig, _Stamps]:
        """The mesh, and its files' stamps from before they are read (noted in `before`, too)."""
        stamp = before[self._path]
        known = self._read
        config = known[1] if known is not None and known[0] == stamp else load(self._path)
        self._raise_problems(config)
        self._read = stamp, config
        stamps = {self._path: stamp}
        if config.bindings_file is not None:
            file = Path(config.bindings_file)
            stamps[file] = before.setdefault(file, _stamp(file))
        return config, stamps

    def _raise_problems(self, config: MeshConfig) -> None:
        if problems := [problem for check in self._checks for problem in check(config)]:
            raise MeshFileError(problems)

    def _accept(
        self, turn: int, stamps: _Stamps, config: MeshConfig, bindings: RoleBindings
    ) -> bool:
        if any(_stamp(path) != stamp for path, stamp in stamps.items()):
            return False  # written while it was read: it may have been read in part
        if not self._settle(turn, stamps, bindings):
            return False
        self._subscribers.tell()
        if waiting := [key for key in _FIXED if getattr(config, key) != getattr(self._config, key)]:
            self._waiting(f"{self._path}: {', '.join(waiting)} changed: restart to apply")
        if self._loaded is not None:
            self._loaded(bindings)
        return True

    def _refuse(self, turn: int, before: _Stamps, error: MeshFileError) -> bool:
        if self._settle(turn, before, None):
            self._refused(error)
        return False

    def _settle(self, turn: int, stamps: _Stamps, bindings: RoleBindings | None) -> bool:
        """Ends one reading, unless one that began later ended before."""
        with self._lock:
            if turn < self._settled:
                return False
            self._settled = turn
            self._stamps = stamps
            if bindings is not None:
                self.current = bindings
            return True


async def _in_slices(steps: Generator[None, None, T], budget: float) -> T:
    """Takes all steps, and lets the loop have its turn whenever the budget (seconds) is spent."""
    clock = time.perf_counter
    until = clock() + budget
    while True:
        try:
            next(steps)
        except StopIteration as done:
            value: T = done.value
            return value
        if clock() >= until:
            await asyncio.sleep(0)
            until = clock() + budget


def _stamp(path: Path) -> _Stamp:
    try:
        stat = path.stat()
    except OSError:
        return (0, 0, 0)
    return (stat.st_mtime_ns, stat.st_size, stat.st_ino)


def _log_refusal(error: MeshFileError) -> None:
    _log.error("new role bindings refused, the old ones stay:\n%s", error)
