"""What a running mesh writes down for other programs: `mesh.json` and its contracts."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.message import DecodeError

from meshpact.certs.files import write_whole
from meshpact.mesh.state import RunningMesh, RunningService, State
from meshpact.servers.contracts import combined
from meshpact.servers.supervisor.snapshot import ServiceView


def write_record(state: State, mesh_file: Path, services: Iterable[ServiceView]) -> None:
    """Write `mesh.json`: each service with its address, process ID and health port."""
    running = {
        service.name: [
            RunningService(
                address=service.address,
                pid=service.pid,
                health_port=int(service.health.rpartition(":")[2]),
                serves=tuple(service.serves),
            )
        ]
        for service in services
    }
    state.write_running(
        RunningMesh(services=running, mesh_file=str(mesh_file.resolve()), pid=os.getpid())
    )


def merge_contracts(state: State) -> None:
    """Write the contracts of all services into one protoset, from those that each one wrote."""
    sets: list[FileDescriptorSet] = []
    for path in sorted(state.contracts.glob("*.binpb")):
        try:
            sets.append(FileDescriptorSet.FromString(path.read_bytes()))
        except (DecodeError, OSError):
            continue
    write_whole(state.contracts_file, combined(sets).SerializeToString())
