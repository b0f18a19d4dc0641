"""What a running mesh writes down for other programs: `mesh.json`."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from meshpact.mesh.state import RunningMesh, RunningService, State
from meshpact.servers.supervisor.snapshot import ServiceView


def write_record(state: State, mesh_file: Path, services: Iterable[ServiceView]) -> None:
    """Write `mesh.json`: each service with its address, process ID and health port."""
    running = {
        service.name: [
            RunningService(
                address=service.address,
                pid=service.pid,
                health_port=int(service.health.rpartition(":")[2] or 0),
                serves=tuple(service.serves),
                metrics=service.metrics,
                web=service.web,
            )
        ]
        for service in services
    }
    state.write_running(
        RunningMesh(services=running, mesh_file=str(mesh_file.resolve()), pid=os.getpid())
    )
