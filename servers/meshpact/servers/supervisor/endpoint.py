"""The Workload API as the supervisor holds it: its socket, its process, and whom it knows.

The socket is there from the beginning. The process behind it is started by the first who connects,
or by the first process that needs it: a mesh without either does not pay for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import json
import os
import sys
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Final

from meshpact.mesh.state import State
from meshpact.servers.supervisor.errors import UpError
from meshpact.servers.supervisor.member import FIRST_DELAY, LONGEST_DELAY, STEADY
from meshpact.servers.supervisor.process import Facts, Process, ending
from meshpact.servers.workloadapi.attestation import Peer, ProcessTable
from meshpact.servers.workloadapi.place import Place

NAME: Final = "workload-api"
GRACE: Final = 3.0


class Introduction:
    """A process that was started: what it is, and whether the Workload API knows it by now."""

    def __init__(self, service: str, wanted: asyncio.Event) -> None:
        self.service = service
        self._wanted = wanted
        self._settled = asyncio.Event()
        self._failure = ""

    async def known(self) -> None:
        """Wait until the Workload API runs and knows the process. UpError when it cannot run."""
        self._wanted.set()
        await self._settled.wait()
        if self._failure:
            raise UpError(self._failure)

    def settle(self, failure: str = "") -> None:
        """It is known, or cannot be; what came first stays."""
        if not self._settled.is_set():
            self._failure = failure
            self._settled.set()


class Endpoint:
    """The Workload API of one run of a mesh. `told` gets lines for people.

    Made while the lock on the state is held; StateError when the socket cannot be had.
    """

    def __init__(self, mesh: Path, state: State, told: Callable[[str], None]) -> None:
        self._mesh = mesh
        self._state = state
        self._told = told
        self._table = ProcessTable()
        self._log = state.logs / f"{NAME}.log"
        self._place = Place.of(state)
        self._listener = self._place.listen()
        self._introduced: dict[Peer, Introduction] = {}
        self._wanted = asyncio.Event()
        self._process: Process | None = None
        self._news = -1
        self._failure = ""
        self._ready = False
        self._stopping = False
        self._job: asyncio.Task[None] | None = None
        if self._place.elsewhere:
            told(
                f"the path of {state.root} is too long for a socket: the Workload API is at "
                f"{self.address}"
            )

    @property
    def address(self) -> str:
        """What workloads are given: `unix:///...`."""
        return self._place.address

    @contextlib.contextmanager
    def introduced(self, service: str, pid: int) -> Generator[Introduction]:
        """A process that was just started is this service, until the `with` ends."""
        peer = self._table.peer(pid) or Peer(pid, 0)
        introduction = Introduction(service, self._wanted)
        self._introduced[peer] = introduction
        self._tell("started", peer, service)
        try:
            yield introduction
        finally:
            del self._introduced[peer]
            self._tell("ended", peer, service)

    def start(self) -> None:
        """Serve whoever asks, until `stop`."""
        self._job = asyncio.create_task(self._run(), name=NAME)

    async def stop(self) -> None:
        """End it and remove its socket."""
        self._stopping = True
        self._wanted.set()
        if self._process is not None:
            await self._process.stop(GRACE)
        if self._job is not None:
            self._job.cancel()
            await asyncio.gather(self._job, return_exceptions=True)
        self._listener.close()
        self._place.clear()

    def kill(self) -> None:
        """End it at once."""
        self._stopping = True
        self._kill_process()

    def _kill_process(self) -> None:
        if self._process is not None:
            self._process.kill()

    async def _run(self) -> None:
        clock = asyncio.get_running_loop().time
        delay = FIRST_DELAY
        while True:
            await self._asked()
            self._failure, self._ready = "", False
            began = clock()
            code = await self._lived()
            if self._stopping:
                return
            if self._ready:
                self._told(f"the Workload API {ending(code)}; the next caller starts it again")
            else:
                why = self._failure or f"its process {ending(code)} (log: {self._log})"
                self._give_up(f"the Workload API cannot be served: {why}")
            if clock() - began > STEADY:
                delay = FIRST_DELAY
            await asyncio.sleep(delay)
            delay = min(delay * 2, LONGEST_DELAY)

    async def _asked(self) -> None:
        """Wait for a connection, or for a process that needs us."""
        loop = asyncio.get_running_loop()
        loop.add_reader(self._listener.fileno(), self._wanted.set)
        try:
            await self._wanted.wait()
        finally:
            loop.remove_reader(self._listener.fileno())
            self._wanted.clear()

    async def _lived(self) -> int:
        """Start the process and wait for its end."""
        if importlib.util.find_spec("spiffe") is None:
            self._failure = "install it: pip install 'meshpact[workload-api]'"
            return 1
        stdin, self._news = os.pipe()
        os.set_blocking(self._news, False)
        try:
            self._process = await Process.start(
                NAME,
                [
                    *(sys.executable, "-P", "-m", "meshpact.servers.child", "workloadapi.serving"),
                    *("--mesh", str(self._mesh), "--state", str(self._state.root)),
                    *("--listener", str(self._listener.fileno())),
                ],
                log=self._log,
                cwd=Path.cwd(),
                reported=self._reported,
                stdin=stdin,
                pass_fds=(self._listener.fileno(),),
            )
            for peer, introduction in self._introduced.items():
                self._tell("started", peer, introduction.service)
            return await self._process.wait()
        except OSError as error:
            self._failure = f"this machine cannot start its process: {error.strerror}"
            return 1
        finally:
            os.close(stdin)
            os.close(self._news)
            self._news = -1
            self._process = None

    def _reported(self, facts: Facts) -> None:
        match facts.get("event"):
            case "known":
                for peer, introduction in self._introduced.items():
                    if peer.pid == facts.get("pid"):
                        introduction.settle()
            case "failed":
                self._failure = f"{facts.get('message', '')} (log: {self._log})"
            case "ready":
                self._ready = True
            case _:
                pass

    def _tell(self, event: str, peer: Peer, service: str) -> None:
        if self._news < 0:
            return
        news = {"event": event, "service": service, "pid": peer.pid, "start": peer.start}
        try:
            os.write(self._news, json.dumps(news).encode() + b"\n")
        except BrokenPipeError:
            pass  # it is ending; the next one is told everything
        except BlockingIOError:
            self._kill_process()  # it has not read 64 kB of news: the next one does

    def _give_up(self, words: str) -> None:
        """Send those away who wait for it."""
        self._told(words)
        for introduction in self._introduced.values():
            introduction.settle(words)
        with contextlib.suppress(OSError):
            while True:
                self._listener.accept()[0].close()
