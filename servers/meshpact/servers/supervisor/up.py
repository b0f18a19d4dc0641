"""What `meshpact up` does, from a path to an exit code."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from meshpact.mesh.config import MeshConfig, load
from meshpact.mesh.state import State
from meshpact.servers.supervisor.errors import UpError
from meshpact.servers.supervisor.mesh import Mesh, Task
from meshpact.servers.supervisor.systems import chosen
from meshpact.servers.supervisor.view import choose


def run_up(
    mesh: Path,
    state: Path,
    *,
    systems: Sequence[str] = (),
    seconds: float | None,
    machine: bool,
    plain: bool,
) -> int:
    """Run a mesh to its end and return the exit code: 0, or 1 when its report shows a fault.

    `systems` are those of mesh.yaml to run (`meshpact.servers.supervisor.systems`). `machine` asks
    for the report as JSON on stdout, `plain` for lines instead of a live table.
    Raises what `Mesh.run` and `load` raise.
    """
    config = load(mesh)
    _check_names(mesh, config)
    task = Task(
        mesh=mesh,
        config=config,
        state=State(state),
        part=chosen(mesh, config, systems),
        seconds=seconds,
    )
    view = choose(machine=machine, plain=plain)

    async def run() -> int:
        return await Mesh(task, view).run()

    return asyncio.run(run())


def _check_names(mesh: Path, config: MeshConfig) -> None:
    """UpError when the driver or an example calls as a workload that mesh.yaml does not have."""
    places = [("driver.identity", config.driver.identity)] if config.driver else []
    places += [(f"examples[{i}].identity", e.identity) for i, e in enumerate(config.examples)]
    for place, name in places:
        if name not in config.services:
            known = ", ".join(config.services) or "none"
            raise UpError(
                f"{mesh}: {place}: there is no service {name!r}; allowed: {known}.", exit_code=2
            )
