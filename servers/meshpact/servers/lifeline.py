"""The two pipes between a process of a mesh and the supervisor that started it.

One carries reports up, a JSON object a line. The other carries nothing: its end of file means that
the supervisor is gone, killed or not, and that this process must go too. Standard library only, so
that it works from the first line of the process.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import threading
import time
from collections.abc import Callable
from typing import Final

REPORT_VARIABLE: Final = "MESHPACT_REPORT_FD"
LIFE_VARIABLE: Final = "MESHPACT_LIFE_FD"
ORPHANED: Final = 70
"""Exit code of a process that did not stop in time after its supervisor was gone."""


class Lifeline:
    """A process's end of the two pipes. Without a supervisor both are absent and nothing happens.

    `grace` is how many seconds the process has for its own clean end once the supervisor is gone.
    """

    def __init__(self, report: int | None, life: int | None, *, grace: float = 5.0) -> None:
        self._report = report
        self._grace = grace
        self._lock = threading.Lock()
        self._lost = False
        self._on_lost: Callable[[], None] | None = None
        if report is not None:
            os.set_blocking(report, False)
            os.set_inheritable(report, False)
        if life is not None:
            os.set_inheritable(life, False)
            threading.Thread(
                target=self._watch, args=(life,), name="meshpact-lifeline", daemon=True
            ).start()

    @classmethod
    def from_environment(cls) -> Lifeline:
        """The pipes that the supervisor handed down; forgotten at once by the environment."""
        numbers = [os.environ.pop(name, "") for name in (REPORT_VARIABLE, LIFE_VARIABLE)]
        report, life = (int(number) if number.isdigit() else None for number in numbers)
        return cls(report, life)

    @property
    def supervised(self) -> bool:
        """Whether a supervisor started this process."""
        return self._report is not None

    def report(self, event: str, **facts: object) -> None:
        """Tell the supervisor something. One that does not read misses it."""
        if self._report is None:
            return
        line = json.dumps({"event": event, **facts}, separators=(",", ":")) + "\n"
        with contextlib.suppress(BlockingIOError, BrokenPipeError):
            self._write(self._report, line.encode())

    @staticmethod
    def _write(pipe: int, line: bytes) -> None:
        """Write a line whole or not at all; the rest of one that was cut is waited for briefly."""
        rest = line[os.write(pipe, line) :]
        while rest and select.select([], [pipe], [], 1.0)[1]:
            rest = rest[os.write(pipe, rest) :]

    def on_lost(self, callback: Callable[[], None]) -> None:
        """Call `callback` from a thread when the supervisor is gone; at once when it already is.

        Until one is set, losing the supervisor ends the process at once.
        """
        with self._lock:
            self._on_lost = callback
            lost = self._lost
        if lost:
            callback()

    def _watch(self, life: int) -> None:
        with contextlib.suppress(OSError):
            os.read(life, 1)
        with self._lock:
            self._lost = True
            callback = self._on_lost
        if callback is not None:
            callback()
            time.sleep(self._grace)
        os._exit(ORPHANED)
