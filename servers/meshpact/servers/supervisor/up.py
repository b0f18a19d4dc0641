"""What `meshpact up` does, from a path to an exit code."""

from __future__ import annotations

import asyncio
from pathlib import Path

from meshpact.mesh.config import load
from meshpact.mesh.state import State
from meshpact.servers.supervisor.mesh import Mesh, Task
from meshpact.servers.supervisor.view import choose


def run_up(mesh: Path, state: Path, *, seconds: float | None, machine: bool, plain: bool) -> int:
    """Run a mesh to its end and return the exit code: 0, or 1 when its report shows a fault.

    `machine` asks for the report as JSON on stdout, `plain` for lines instead of a live table.
    Raises what `Mesh.run` and `load` raise.
    """
    config = load(mesh)
    task = Task(mesh=mesh, config=config, state=State(state), seconds=seconds)
    view = choose(machine=machine, plain=plain)

    async def run() -> int:
        return await Mesh(task, view).run()

    return asyncio.run(run())
