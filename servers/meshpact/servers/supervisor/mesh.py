"""A whole mesh on one machine: prepared, started, watched, shown, ended.

The supervisor makes no calls and serves none. It holds the lock on the state, the ports, the CA and
one child process for each service, and one for the driver.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Collection, Coroutine, Generator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Final

from meshpact.certs.errors import CertsError
from meshpact.mesh.bindings import Reloader
from meshpact.mesh.config import MeshConfig
from meshpact.mesh.methodcheck import unknown_methods
from meshpact.mesh.roles import RoleBindings
from meshpact.mesh.state import State
from meshpact.servers.supervisor.endpoint import Endpoint
from meshpact.servers.supervisor.errors import UpError
from meshpact.servers.supervisor.identities import LOOK, Identities
from meshpact.servers.supervisor.member import Member
from meshpact.servers.supervisor.process import Facts, Process, ending
from meshpact.servers.supervisor.records import write_record
from meshpact.servers.supervisor.rolecheck import missing_roles, unknown_roles
from meshpact.servers.supervisor.snapshot import Snapshot, failed
from meshpact.servers.supervisor.starting import Starting
from meshpact.servers.supervisor.systems import Part
from meshpact.servers.supervisor.view import View

READY_WITHIN: Final = 30.0
"""Seconds that all services together have to become ready."""
DRIVER_GRACE: Final = 20.0
"""Seconds that the driver has to finish its work and balance the books."""
REFRESH: Final = 0.25
REFLECTION_ROLE: Final = "mesh.reflect"
"""As `meshpact.servers.overlay` has it, which needs grpc."""


@dataclass(frozen=True)
class Task:
    """What `meshpact up` was asked for. `seconds` counts from readiness, None: until a signal."""

    mesh: Path
    config: MeshConfig
    state: State
    part: Part
    seconds: float | None = None
    ready_within: float = READY_WITHIN


class Mesh:
    """One run of a mesh. `run` does it all."""

    def __init__(self, task: Task, view: View) -> None:
        self._task = task
        self._view = view
        self._stop = asyncio.Event()
        self._changed = asyncio.Event()
        self._members: list[Member] = []
        self._jobs: set[asyncio.Task[None]] = set()
        self._endpoint: Endpoint | None = None
        self._driver: Process | None = None
        self._driver_state = ""
        self._stop_began = False
        self._figures: dict[str, object] = {}
        self._ready_at: float | None = None
        self._ready_s: float | None = None

    async def run(self) -> int:
        """Run the mesh until it is told to end; 0, or 1 when the final report shows a fault.

        Raises UpError, and the errors of mesh.yaml, CA and lock, when it cannot run.
        """
        task = self._task
        with task.state.lock() as lock, self._signals():
            identities = Identities(task.config, task.state, self._view.note)
            identities.prepare()
            if not task.config.identity.workload_api:
                self._endpoint = Endpoint(task.mesh, task.state, self._view.note)
            starting = Starting(
                task.mesh, task.config, task.part.services, task.state, self._endpoint
            )
            self._spawn(self._renew(identities))
            try:
                self._members = starting.members(self._view.note, self._record)
                if self._endpoint is not None:
                    self._endpoint.start()
                lock.announce(self._members[0].view().address)
                self._record()
                for member in self._members:
                    self._spawn(member.run())
                await self._ready()
                if not self._stop.is_set():
                    await self._start_driver(starting)
                    await self._watch()
            finally:
                await self._end()
            report = self._snapshot().report()
        self._view.finish(report)
        return int(failed(report) or self._driver_state == "failed")

    async def _ready(self) -> None:
        """Wait until every service is ready; UpError when one is not, in time or ever."""
        clock = asyncio.get_running_loop().time
        limit = clock() + self._task.ready_within
        while not all(member.ready for member in self._members):
            words = [member.failure for member in self._members if member.failure]
            if words:
                raise UpError("\n".join(words))
            left = limit - clock()
            if left <= 0:
                raise UpError(
                    f"not ready within {self._task.ready_within:g} s:\n"
                    + "\n".join(member.late() for member in self._members if not member.ready)
                )
            self._view.show(self._snapshot())
            self._changed.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), min(left, REFRESH))
            if self._stop.is_set():
                return
        self._check_access()
        reloader = await asyncio.to_thread(self._reloader)
        reloader.require(
            partial(unknown_methods, self._task.mesh, known=self._methods(), whole=False)
        )
        self._spawn(reloader.watch())
        self._ready_at = asyncio.get_running_loop().time()
        self._ready_s = process_age()
        # What comes now needs grpc and protobuf, which the way to readiness does without.
        from meshpact.servers.supervisor.contracts import merge_contracts
        from meshpact.servers.supervisor.hints import hints

        merge_contracts(self._task.state, [member.name for member in self._members])
        self._view.ready(self._snapshot(), hints(self._task.state))

    def _check_access(self) -> None:
        """UpError when mesh.yaml has roles or methods that no contract has; a note for roles that
        it lacks."""
        mesh, config = self._task.mesh, self._task.config
        roles = config.roles
        asked = self._tell_missing(roles)
        if not self._task.part.whole:
            return  # other contracts may ask for the rest
        if any(service.command and service.address for service in config.services.values()):
            return  # what such a process serves and asks for is not known here
        known = self._methods()
        wanted = {REFLECTION_ROLE, *chain.from_iterable(asked.values())}
        unknown = [f"{mesh}: {sentence}" for sentence in unknown_roles(roles, wanted)]
        unknown += map(str, unknown_methods(mesh, config, known, whole=True))
        if unknown:
            raise UpError("\n".join(unknown), exit_code=2)

    def _tell_missing(self, roles: Collection[str]) -> Mapping[str, Collection[str]]:
        """A note for each role that contracts ask for and mesh.yaml lacks; who asks for which."""
        asked = {member.name: member.roles for member in self._members}
        for sentence in missing_roles(roles, asked):
            self._view.note(sentence)
        return asked

    def _methods(self) -> frozenset[str]:
        return frozenset(chain.from_iterable(member.methods for member in self._members))

    def _reloader(self) -> Reloader:
        """Says what becomes of each change of mesh.yaml, as the services log it, too."""
        mesh, note = self._task.mesh, self._view.note

        def loaded(bindings: RoleBindings) -> None:
            note(f"{mesh} has changed: its role bindings hold now")
            self._tell_missing(bindings.known)

        return Reloader(
            mesh,
            refused=lambda error: note(f"a change is refused, the old bindings hold:\n{error}"),
            loaded=loaded,
            waiting=note,
        )

    async def _start_driver(self, starting: Starting) -> None:
        driver = self._task.config.driver
        if driver is None or not self._task.part.driver:
            return
        self._driver = await Process.start(
            "driver",
            starting.child("driving", driver.identity),
            log=self._task.state.logs / "driver.log",
            cwd=Path.cwd(),
            reported=self._driver_reported,
            environment=starting.environment,
        )
        self._driver_state = "running"
        self._spawn(
            self._watch_driver(self._driver, starting.introduced(driver.identity, self._driver.pid))
        )

    def _driver_reported(self, facts: Facts) -> None:
        match facts.get("event"):
            case "figures":
                self._figures.update(
                    {name: value for name, value in facts.items() if name != "event"}
                )
            case "failed":
                self._driver_state = "failed"
                self._view.note(f"the driver failed: {facts.get('message', '')}")
            case _:
                pass

    async def _watch_driver(
        self, driver: Process, introduced: AbstractContextManager[object]
    ) -> None:
        with introduced:
            code = await driver.wait()
        if self._driver_state == "failed":
            return
        if code and not (self._stop_began and code == -signal.SIGTERM):
            self._driver_state = "failed"
            log = self._task.state.logs / "driver.log"
            self._view.note(f"the driver {ending(code)} (log: {log})")
        else:
            self._driver_state = "finished"

    async def _watch(self) -> None:
        """Show the mesh until the time is over or a signal comes."""
        loop = asyncio.get_running_loop()
        seconds = self._task.seconds
        end = None if seconds is None else loop.time() + seconds
        while not self._stop.is_set():
            left = REFRESH if end is None else min(REFRESH, end - loop.time())
            if left <= 0:
                return
            self._view.show(self._snapshot())
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), left)

    async def _renew(self, identities: Identities) -> None:
        said = ""
        while True:
            await asyncio.sleep(LOOK)
            try:
                await asyncio.to_thread(identities.follow)
            except (CertsError, OSError) as error:
                if str(error) != said:
                    self._view.note(f"identities could not be renewed: {error}")
                said = str(error)
            else:
                said = ""

    async def _end(self) -> None:
        """End the driver, then the services, then what watched them."""
        self._stop_began = True
        self._view.ending()
        if self._driver is not None:
            await self._driver.stop(DRIVER_GRACE)
        grace = self._task.config.limits.drain + 2
        await asyncio.gather(*(member.stop(grace) for member in self._members))
        if self._endpoint is not None:
            await self._endpoint.stop()
        for job in self._jobs:
            job.cancel()
        await asyncio.gather(*self._jobs, return_exceptions=True)
        self._task.state.clear_running()

    def _record(self) -> None:
        self._changed.set()
        write_record(self._task.state, self._task.mesh, [member.view() for member in self._members])

    def _snapshot(self) -> Snapshot:
        loop = asyncio.get_running_loop()
        return Snapshot(
            services=[member.view() for member in self._members],
            figures=self._figures,
            elapsed=0.0 if self._ready_at is None else loop.time() - self._ready_at,
            ready_s=self._ready_s,
            driver=self._driver_state,
        )

    def _spawn(self, work: Coroutine[object, object, None]) -> None:
        job = asyncio.create_task(work)
        self._jobs.add(job)

    @contextlib.contextmanager
    def _signals(self) -> Generator[None]:
        """SIGINT, SIGTERM and SIGHUP end the mesh; a second one ends its processes at once."""
        loop = asyncio.get_running_loop()

        def end() -> None:
            if self._stop.is_set():
                for member in self._members:
                    member.kill()
                for other in (self._driver, self._endpoint):
                    if other is not None:
                        other.kill()
            self._stop.set()
            self._changed.set()

        numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        for number in numbers:
            loop.add_signal_handler(number, end)
        try:
            yield
        finally:
            for number in numbers:
                loop.remove_signal_handler(number)


def process_age() -> float:
    """Seconds since this process was started, interpreter and imports included (Linux: proc(5))."""
    try:
        fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
        started = int(fields[19]) / os.sysconf("SC_CLK_TCK")
        return time.clock_gettime(time.CLOCK_BOOTTIME) - started
    except (OSError, ValueError, IndexError, AttributeError):
        return time.process_time()
