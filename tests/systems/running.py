"""All systems of the reference organization at once, as `make run SYSTEM=all` starts them."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Generator
from pathlib import Path

import psutil

from systemmesh import system_mesh
from upmesh import Up

READY = re.compile(r"ready after ([0-9.]+) s")


@contextlib.contextmanager
def all_systems(home: Path, *options: str) -> Generator[tuple[Up, float]]:
    """The mesh once it is ready, and the seconds that took; in a folder without any state."""
    with system_mesh(home), Up(home, "--system", "all", *options) as mesh:
        said = READY.search(mesh.until("ready after"))
        assert said is not None
        yield mesh, float(said[1])


def memory(mesh: Up) -> dict[str, float]:
    """MiB that each process has for itself, shared pages by their part (PSS), by process."""
    own = psutil.Process(mesh.process.pid)
    found = {"supervisor": _pss(own)}
    names = {each[0].pid: name for name, each in mesh.running.services.items()}
    for child in own.children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            found[names.get(child.pid, f"process {child.pid}")] = _pss(child)
    return found


def _pss(process: psutil.Process) -> float:
    return round(process.memory_full_info().pss / 2**20, 1)
