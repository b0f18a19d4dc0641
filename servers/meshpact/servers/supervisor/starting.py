"""How the processes of a mesh are started: by a factory in Python, or by a command in any language.

All of them get the address of a Workload API: the supervisor's own, or that of mesh.yaml. Those of
a command wait until our own knows them, and are told by their environment what they are and where
the others listen.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import Callable, Generator, Mapping, Sequence
from pathlib import Path
from typing import Final

from meshpact.certs.workloadapi import ADDRESS_VARIABLE
from meshpact.mesh.config import MeshConfig, Service
from meshpact.mesh.state import State
from meshpact.servers.supervisor.endpoint import Endpoint, Introduction
from meshpact.servers.supervisor.errors import UpError
from meshpact.servers.supervisor.member import Attend, Member
from meshpact.servers.supervisor.ports import Reservation, reserve
from meshpact.servers.supervisor.process import Facts, Process

SERVICE_VARIABLE: Final = "MESHPACT_SERVICE"
"""The name of the process in mesh.yaml."""
OWN_ADDRESS_VARIABLE: Final = "MESHPACT_ADDRESS"
"""`host:port` where it is to listen; absent for one that only calls."""
SERVICES_VARIABLE: Final = "MESHPACT_SERVICES"
"""JSON: all services by name, each with `id` and, when it listens, `address`."""

_LOOK: Final = 0.05


class Starting:
    """Makes the members of a mesh, and whatever else is started for it."""

    def __init__(
        self,
        mesh: Path,
        config: MeshConfig,
        services: Mapping[str, Service],
        state: State,
        endpoint: Endpoint | None,
    ) -> None:
        self._mesh = mesh
        self._config = config
        self._running = services
        self._state = state
        self._endpoint = endpoint
        address = config.identity.workload_api if endpoint is None else endpoint.address
        self.environment: Mapping[str, str] = {**os.environ, ADDRESS_VARIABLE: address}
        """The environment of all processes."""

    def members(self, told: Callable[[str], None], changed: Callable[[], None]) -> list[Member]:
        """A member for each service that is to run; their addresses are held from now on.

        UpError when an address cannot be had.
        """
        held = self._reserved(self._running)
        members: list[Member] = []
        for name, service in self._running.items():
            address, health = held[name]
            by_factory = bool(service.factory)
            members.append(
                Member(
                    name,
                    self._serving(name, address, health) if by_factory else _gate(service.command),
                    address=address,
                    health=health,
                    log=self._state.logs / f"{name}.log",
                    cwd=Path.cwd() if by_factory else self._mesh.resolve().parent,
                    environment=self.environment if by_factory else self._told(name, held),
                    attend=self._introduce(name) if by_factory else self._let_in(name, address),
                    group=not by_factory,
                    told=told,
                    changed=changed,
                )
            )
        return members

    def child(self, module: str, name: str, *options: str) -> Sequence[str]:
        """The command of a process in Python (`meshpact.servers.child`)."""
        return [
            *(sys.executable, "-P", "-m", "meshpact.servers.child", module),
            *("--mesh", str(self._mesh), "--service", name),
            *("--state", str(self._state.root), *options),
        ]

    def _serving(
        self, name: str, address: Reservation | None, health: Reservation | None
    ) -> Sequence[str]:
        options: list[str] = []
        for option, held in (("--address", address), ("--health-address", health)):
            if held is not None:
                options += [option, held.address]
        return self.child("serving", name, *options)

    def _reserved(
        self, running: Mapping[str, Service]
    ) -> dict[str, tuple[Reservation | None, Reservation | None]]:
        """The addresses of all services and of their health; of a command's health none."""
        held: list[Reservation] = []

        def hold(address: str, purpose: str) -> Reservation:
            held.append(reserve(address, purpose))
            return held[-1]

        try:
            return {
                name: (
                    hold(service.address, f"service {name}") if service.address else None,
                    hold("127.0.0.1:0", f"the health of service {name}")
                    if service.factory
                    else None,
                )
                for name, service in running.items()
            }
        except UpError:
            for each in held:
                each.release()
            raise

    def _told(
        self, name: str, held: Mapping[str, tuple[Reservation | None, Reservation | None]]
    ) -> Mapping[str, str]:
        """The environment of a command."""
        services: dict[str, dict[str, str]] = {}
        for other, service in self._config.services.items():
            address = held.get(other, (None, None))[0]
            services[other] = {"id": service.id}
            if address is not None:
                services[other]["address"] = address.address
        told = {**self.environment, SERVICE_VARIABLE: name, SERVICES_VARIABLE: json.dumps(services)}
        own = held[name][0]
        if own is not None:
            told[OWN_ADDRESS_VARIABLE] = own.address
        return told

    @contextlib.contextmanager
    def introduced(self, name: str, pid: int) -> Generator[Introduction | None]:
        """A process that was just started is this service, until the `with` ends."""
        if self._endpoint is None:
            yield None
        else:
            with self._endpoint.introduced(name, pid) as introduction:
                yield introduction

    def _introduce(self, name: str) -> Attend:
        async def attend(process: Process, _report: Callable[[Facts], None]) -> None:
            with self.introduced(name, process.pid):
                await _forever()

        return attend

    def _let_in(self, name: str, address: Reservation | None) -> Attend:
        """A command begins once the Workload API knows it, and is ready once it listens."""

        async def attend(process: Process, report: Callable[[Facts], None]) -> None:
            with self.introduced(name, process.pid) as introduction:
                try:
                    if introduction is not None:
                        await introduction.known()
                except UpError as error:
                    report({"event": "failed", "message": str(error)})
                    process.kill()
                    return
                process.let_through()
                if not await process.silent():
                    return  # it said why it could not become the command
                if address is not None:
                    await _listening(address.address)
                report({"event": "ready"})
                await _forever()

        return attend


def _gate(command: Sequence[str]) -> Sequence[str]:
    return [sys.executable, "-P", "-m", "meshpact.servers.gate", *command]


async def _listening(address: str) -> None:
    """Wait until something takes connections there."""
    host, _, port = address.rpartition(":")
    while True:
        try:
            _, writer = await asyncio.open_connection(host.strip("[]"), int(port))
        except OSError:
            await asyncio.sleep(_LOOK)
        else:
            writer.close()
            return


async def _forever() -> None:
    await asyncio.get_running_loop().create_future()
