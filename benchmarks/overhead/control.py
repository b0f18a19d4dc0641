"""The side channel to a measured process: its CPU time and what it saw, beside gRPC.

A thread of the measured process answers lines on its stdin; between them it only waits.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator, Mapping
from pathlib import Path
from typing import Any, Final

QUIET_SECONDS: Final = 0.002
"""What a process gets to finish what the last calls left, before its clock is read."""

_BENCHMARKS: Final = Path(__file__).parents[1]


def answer(ready: Mapping[str, Any], settle: Callable[[], None], seen: Callable[[], Any]) -> None:
    """Serves the channel from a thread: first `ready`, then one answer a line, until it closes."""

    def serve() -> None:
        print(json.dumps(ready), flush=True)
        for line in sys.stdin:
            if line == "seen\n":
                print(json.dumps(seen()), flush=True)
                continue
            time.sleep(QUIET_SECONDS)
            settle()
            print(time.process_time_ns(), flush=True)
        os._exit(0)

    threading.Thread(target=serve, name="control", daemon=True).start()


class Measured:
    """A process under measurement."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.ready: dict[str, Any] = self._read()

    def cpu_ns(self) -> int:
        """Its CPU time, all threads, once it has nothing left to do."""
        self._write("cpu\n")
        return int(self._read())

    def seen(self) -> Any:
        """What it has seen (see the process's own module)."""
        self._write("seen\n")
        return self._read()

    def _write(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line)
        self._process.stdin.flush()

    def _read(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(
                f"the measured process ended with {self._process.wait()}; its words stand above"
            )
        return json.loads(line)


@contextlib.contextmanager
def measured(module: str, *argv: str, pinned: bool = False) -> Generator[Measured]:
    """Runs `python -m module argv` for as long as the block runs.

    With `pinned` it has a processor of its own, and this process keeps to the others, if there
    are any.
    """
    path = os.pathsep.join(filter(None, (str(_BENCHMARKS), os.environ.get("PYTHONPATH"))))
    processors = os.sched_getaffinity(0)
    own = {min(processors)} if pinned else processors
    os.sched_setaffinity(0, own)  # the child inherits it
    try:
        process = subprocess.Popen(
            [sys.executable, "-m", module, *argv],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": path},
        )
    finally:
        os.sched_setaffinity(0, processors - own or processors)
    try:
        yield Measured(process)
    finally:
        os.sched_setaffinity(0, processors)
        assert process.stdin is not None
        process.stdin.close()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
