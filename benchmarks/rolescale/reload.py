"""What a reload of 100,000 role bindings does to an event loop that serves calls meanwhile.

A task ticks every millisecond; the longest time between two ticks is the stall. Before each
reload the same is measured without one: that is what this machine does to the loop by itself.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path
from typing import Final

from meshpact.mesh.bindings import Reloader
from overhead.figures import Row
from rolescale.bindings import write_mesh

BINDINGS: Final = 100_000
GOAL_MS: Final = 10.0
RELOADS: Final = 10
RELOADS_QUICK: Final = 4
TICK: Final = 0.001
_WAIT: Final = 30.0


class _Ticks:
    """The longest gaps between the ticks of a task, in seconds of the clock and of the thread's
    CPU."""

    def __init__(self) -> None:
        self._gap = self._cpu = 0.0

    async def run(self) -> None:
        """Ticks until cancelled."""
        last, spent = time.perf_counter(), time.thread_time()
        while True:
            await asyncio.sleep(TICK)
            now, cpu = time.perf_counter(), time.thread_time()
            self._gap, self._cpu = max(self._gap, now - last), max(self._cpu, cpu - spent)
            last, spent = now, cpu

    def worst(self) -> tuple[float, float]:
        """The longest since this was last asked, in milliseconds: on the clock, and of CPU."""
        found = 1000 * self._gap, 1000 * self._cpu
        self._gap = self._cpu = 0.0
        return found


async def measure(quick: bool) -> Row:
    """The row. `extra` has the CPU time within a gap, and how soon a change takes effect."""
    reloads = RELOADS_QUICK if quick else RELOADS
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        loaded = asyncio.Event()
        reloader = Reloader(write_mesh(folder, BINDINGS), loaded=lambda _: loaded.set())
        ticks = _Ticks()
        tasks = [asyncio.create_task(ticks.run()), asyncio.create_task(reloader.watch())]
        quiet: list[tuple[float, float]] = []
        busy: list[tuple[float, float]] = []
        effective: list[float] = []
        for generation in range(1, reloads + 1):
            await asyncio.to_thread(write_mesh, folder, BINDINGS, generation)
            ticks.worst()  # writing is no part of it
            effective.append(await _until(loaded))
            await asyncio.sleep(0.3)  # what is left of the old bindings goes meanwhile
            busy.append(ticks.worst())
            await asyncio.sleep(effective[-1])
            quiet.append(ticks.worst())
        for task in tasks:
            task.cancel()
    worst = max(gap for gap, _ in busy)
    return Row(
        "reload-stall",
        "worst stall of the event loop, 100,000 bindings read again",
        "<=",
        GOAL_MS,
        round(worst, 2),
        round(min(gap for gap, _ in busy), 2),
        round(worst, 2),
        round(max(gap for gap, _ in quiet), 2),
        reloads,
        {},
        unit="ms",
        extra={
            "cpu_ms": round(max(cpu for _, cpu in busy), 2),
            "effective_s": round(max(effective), 2),
        },
    )


async def _until(loaded: asyncio.Event) -> float:
    """Seconds until the bindings just written are in force."""
    began = time.perf_counter()
    async with asyncio.timeout(_WAIT):
        await loaded.wait()
    loaded.clear()
    return time.perf_counter() - began
