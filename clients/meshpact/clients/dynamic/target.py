"""Whom to call and as whom, found in the state of a running mesh."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path

import grpc

from meshpact.certs.credentials import channel_credentials, channel_options
from meshpact.certs.spiffe import SpiffeId, dns_name
from meshpact.clients.dynamic.errors import UseError
from meshpact.mesh.config import MeshConfig, load
from meshpact.mesh.local import at_state
from meshpact.mesh.sources import IdentityFiles, Sources, identity_files
from meshpact.mesh.state import RunningMesh, State


@dataclass(frozen=True)
class Target:
    """A process of the mesh to call, and the workload `caller` to call it as."""

    address: str
    callee: SpiffeId
    caller: str
    config: MeshConfig
    state: State

    @property
    def authority(self) -> str:
        """The name in the callee's certificate."""
        return dns_name(self.callee)

    @property
    def files(self) -> IdentityFiles:
        """The caller's files. UseError when its identity comes from a Workload API."""
        files = identity_files(self.config, self.state, self.caller)
        if files is None:
            raise UseError(
                f"the identity of {self.caller} comes from a Workload API, not from files: other "
                "programs must ask it themselves. Call with meshpact call."
            )
        return files

    @contextlib.contextmanager
    def channel(self) -> Generator[grpc.Channel]:
        """A channel to the callee as the caller. CertsError when no identity can be had."""
        with Sources(self.config, self.state, federated=False) as sources:
            credentials = channel_credentials(sources.of(self.caller), self.callee)
            options = channel_options(self.callee)
            with grpc.secure_channel(self.address, credentials, options=options) as channel:
                yield channel


def _alive(pid: int) -> bool:
    """Whether a process runs; one that nobody named counts as running."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


@dataclass(frozen=True)
class RunningState:
    """A mesh that runs on a state directory: what runs, and by which mesh.yaml."""

    state: State
    running: RunningMesh
    config: MeshConfig

    @classmethod
    def read(cls, state: State) -> RunningState:
        """What runs on `state`. UseError when nothing does, MeshFileError for its mesh.yaml."""
        running = state.read_running()
        if running is None or not _alive(running.pid):
            raise UseError(
                f"no mesh runs on {state.root}. Start one: meshpact up (or give its state "
                "directory: --state DIRECTORY)."
            )
        mesh_file = Path(running.mesh_file)
        return cls(state, running, at_state(load(mesh_file), mesh_file, state))

    def target(self, service: str, *, caller: str, address: str = "") -> Target:
        """Where the gRPC service `service` is called as the workload `caller`.

        `address` is a name in mesh.yaml or `host:port`, for a service that several processes have
        (health, reflection) or one that is reached by another way. UseError says what there is.
        """
        name = self._process(service, address)
        processes = self.running.services[name]
        return Target(
            address=address if ":" in address else processes[0].address,
            callee=self.config.service_id(name),
            caller=self._caller(caller),
            config=self.config,
            state=self.state,
        )

    def check_up(self, service: str) -> None:
        """UseError when a service of mesh.yaml that is not up serves the gRPC service `service`:
        as `serves` says, else the one that bears the name of the contract's package.
        """
        down = {
            name: each
            for name, each in self.config.services.items()
            if (each.factory or each.command) and name not in self.running.services
        }
        said = [name for name, each in down.items() if service in each.serves]
        words = service.split(".")[:-1]
        guessed = [name for name in down if name.replace("-", "_") in words]
        if not (found := said or guessed):
            return
        systems = [name for name, each in self.config.systems.items() if found[0] in each.services]
        start = f"--system {systems[0]}" if systems else "--system all"
        others = f" ({', '.join(systems[1:])} and all have it, too)" if systems[1:] else ""
        raise UseError(
            f"{service} is served by {found[0]}, which is not up: this mesh runs "
            f"{', '.join(self.running.services)}. Start the mesh with it: meshpact up {start}"
            f"{others}."
        )

    def identities(self) -> list[str]:
        """The workloads whose identities this machine holds, or a Workload API may give out."""
        found = {
            name: identity_files(self.config, self.state, name) for name in self.config.services
        }
        return [
            name for name, files in found.items() if files is None or files.certificate.exists()
        ]

    def _process(self, service: str, address: str) -> str:
        services = self.running.services
        if address in services:
            return address
        serving = [
            name
            for name, found in services.items()
            if any(service in each.serves for each in found)
        ]
        if ":" in address:
            there = [
                name
                for name, found in services.items()
                if any(each.address == address for each in found)
            ]
            if found := there or serving:
                return found[0]
            raise UseError(f"no service of the mesh listens on {address}. {self._listening()}")
        if address:
            raise UseError(f"the mesh runs no service {address!r}. {self._listening()}")
        if not serving:
            self.check_up(service)
            raise UseError(
                f"no process of the mesh says that it serves {service}. Say whom to ask: --address "
                f"with one of {', '.join(services)}. They serve: {', '.join(self._served())}."
            )
        return serving[0]

    def _served(self) -> Sequence[str]:
        return sorted(
            {name for found in self.running.services.values() for e in found for name in e.serves}
        )

    def _listening(self) -> str:
        places = ", ".join(
            f"{name} ({each.address})"
            for name, found in self.running.services.items()
            for each in found
        )
        return f"There are: {places}."

    def _caller(self, caller: str) -> str:
        known = self.identities()
        if caller not in known:
            found = f"there is no identity {caller!r}" if caller else "say who calls"
            raise UseError(f"{found}: --as with one of {', '.join(known) or 'none'}.")
        return caller
