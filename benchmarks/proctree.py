"""What a command costs with all processes that it starts: wall time, CPU time, memory at once."""

from __future__ import annotations

import os
import resource
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_PAUSE: Final = 0.02
"""Seconds between two looks at the memory: a peak that is shorter may be missed."""


@dataclass(frozen=True)
class Cost:
    """Seconds, seconds of all processors, and the most bytes resident at once (shared ones counted
    in each process)."""

    wall: float
    cpu: float
    peak: int


def run(command: Sequence[str], cwd: Path, codes: Sequence[int]) -> Cost:
    """Run a command to its end. Raises RuntimeError when its exit code is none of `codes`."""
    before, started, peak = _cpu(), time.perf_counter(), 0
    with subprocess.Popen(
        command, cwd=cwd, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        while process.poll() is None:
            peak = max(peak, sum(map(_resident, _tree(process.pid))))
            time.sleep(_PAUSE)
        wall = time.perf_counter() - started
        assert process.stderr is not None, "it was asked for"
        said = process.stderr.read()
    if process.returncode not in codes:
        raise RuntimeError(f"{command[0]} ended with {process.returncode}: {said[-2000:]}")
    return Cost(wall, _cpu() - before, peak)


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _tree(process: int) -> Iterator[int]:
    yield process
    try:
        threads = Path(f"/proc/{process}/task").iterdir()
        children = [(each / "children").read_text() for each in threads]
    except OSError:
        return
    for child in " ".join(children).split():
        yield from _tree(int(child))


def _resident(process: int) -> int:
    try:
        pages = Path(f"/proc/{process}/statm").read_text().split()[1]
    except (OSError, IndexError):
        return 0
    return int(pages) * os.sysconf("SC_PAGE_SIZE")
