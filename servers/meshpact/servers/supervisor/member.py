"""One service under supervision: started, watched, started again when it dies."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Final, cast

from meshpact.certs.expiry import Stage
from meshpact.servers.supervisor.ports import Reservation
from meshpact.servers.supervisor.process import Facts, Process, ending, tail
from meshpact.servers.supervisor.snapshot import ServiceView

FIRST_DELAY: Final = 0.2
LONGEST_DELAY: Final = 10.0
IDENTITY_WORDS: Final = {
    Stage.SOON.value: "identity expires soon",
    Stage.CLOSE.value: "identity is about to expire",
    Stage.EXPIRED.value: "identity has expired",
}

STEADY: Final = 30.0
"""Seconds after which a service counts as steady: its next death is a first one again."""


Attend = Callable[[Process, Callable[[Facts], None]], Coroutine[object, object, None]]
"""What goes on beside a process until it ends, and may report for it."""


class Member:
    """A service of the mesh and the process that serves it now.

    `command` is what starts it, `attend` runs beside each of its processes. Its addresses stay the
    same over restarts; None: it listens nowhere, and exit code 0 means that it has finished. `told`
    gets one line for people about each death and return; `changed` is called when it has become
    ready, in a new process perhaps, and when its first start has failed.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        address: Reservation | None,
        health: Reservation | None,
        log: Path,
        cwd: Path,
        environment: Mapping[str, str],
        attend: Attend,
        group: bool = False,
        told: Callable[[str], None],
        changed: Callable[[], None],
    ) -> None:
        self.name = name
        self.ready = False
        """Whether it was ready once."""
        self.roles: tuple[str, ...] = ()
        """The roles that its contracts ask for; known once it is ready."""
        self.methods: tuple[str, ...] = ()
        """The methods that it serves, `package.Service/Method`; empty for another's program."""
        self.failure = ""
        """Why it died before it was ever ready, in words for people."""
        self._command = command
        self._address = address
        self._health = health
        self._log = log
        self._cwd = cwd
        self._environment = environment
        self._attend = attend
        self._group = group
        self._told = told
        self._changed = changed
        self._log_start = 0
        self._process: Process | None = None
        self._state = "starting"
        self._words = ""
        self._restarts = 0
        self._calls = 0.0
        self._rate = 0.0
        self._metrics = ""
        self._web = ""
        self._notes: tuple[str, ...] = ()
        self._serves: tuple[str, ...] = ()
        self._identity = ""
        self._stopping = False

    def view(self) -> ServiceView:
        """The service as it is now."""
        return ServiceView(
            name=self.name,
            state=self._state,
            pid=self._process.pid if self._process is not None else 0,
            address=self._address.address if self._address is not None else "",
            health=self._health.address if self._health is not None else "",
            restarts=self._restarts,
            rate=self._rate,
            metrics=self._metrics,
            web=self._web,
            notes=self._notes,
            serves=self._serves,
            identity=self._identity,
        )

    async def run(self) -> None:
        """Start the service and keep it running until `stop`, or until its first start fails."""
        loop = asyncio.get_running_loop()
        delay = FIRST_DELAY
        while not self._is_stopping():
            with contextlib.suppress(OSError):
                self._log_start = self._log.stat().st_size
            began = loop.time()
            self._words = self._identity = ""
            try:
                self._process = await Process.start(
                    self.name,
                    self._command,
                    log=self._log,
                    cwd=self._cwd,
                    reported=self._reported,
                    environment=self._environment,
                    group=self._group,
                )
            except OSError as error:
                self._words = f"this machine cannot start its process: {error.strerror}"
                code = 1
            else:
                code = await self._lived(self._process)
            self._rate = 0.0
            if self._is_stopping():
                break
            if code == 0 and self._address is None:
                self._state = "finished"
                self.ready = True
                self._changed()
                return
            if not self.ready:
                self._state = "failed"
                self.failure = self._why(code)
                self._changed()
                return
            self._state = "restarting"
            self._restarts += 1
            if loop.time() - began > STEADY:
                delay = FIRST_DELAY
            self._told(
                f"service {self.name} {ending(code)}; it is started again in {delay:g} s "
                f"(log: {self._log})"
            )
            await asyncio.sleep(delay)
            delay = min(delay * 2, LONGEST_DELAY)
        self._state = "stopped"

    async def stop(self, grace: float) -> None:
        """End the service: SIGTERM, and SIGKILL after `grace` seconds."""
        self._stopping = True
        if self._process is not None:
            if self._process.alive:
                self._state = "stopping"
            await self._process.stop(grace)
        if self._state != "finished":
            self._state = "stopped"
        for held in (self._address, self._health):
            if held is not None:
                held.release()

    def kill(self) -> None:
        """End the service at once."""
        self._stopping = True
        if self._process is not None:
            self._process.kill()

    def late(self) -> str:
        """Words for people about a service that is still not ready."""
        return self._with_log(f"service {self.name} is not ready yet")

    async def _lived(self, process: Process) -> int:
        """Attend to a process until it ends; its exit code."""
        attending = asyncio.create_task(self._attend(process, self._reported))
        try:
            return await process.wait()
        finally:
            attending.cancel()
            await asyncio.gather(attending, return_exceptions=True)

    def _is_stopping(self) -> bool:
        return self._stopping

    def _reported(self, facts: Facts) -> None:
        match facts.get("event"):
            case "ready":
                self._state = "ready"
                self._calls = 0.0
                self._metrics = str(facts.get("metrics", ""))
                self._web = str(facts.get("web", ""))
                self._notes = _names(facts, "told")
                self._serves = _names(facts, "serves")
                self.roles = _names(facts, "roles")
                self.methods = _names(facts, "methods")
                self.ready = True
                self._changed()
                if self._restarts:
                    self._told(f"service {self.name} is back, process {self.view().pid}")
            case "failed":
                self._words = str(facts.get("message", ""))
            case "identity":
                self._identity_told(str(facts.get("stage", "")), str(facts.get("words", "")))
            case "calls":
                total, seconds = facts.get("total"), facts.get("seconds")
                if isinstance(total, int | float) and isinstance(seconds, int | float):
                    self._rate = max(0.0, total - self._calls) / max(seconds, 1e-3)
                    self._calls = float(total)
            case _:
                pass

    def _identity_told(self, stage: str, words: str) -> None:
        before = self._identity
        self._identity = IDENTITY_WORDS.get(stage, "")
        if self._identity:
            self._told(f"service {self.name}: its identity {words}, and nothing has renewed it")
        elif before:
            self._told(f"service {self.name}: its identity was renewed")

    def _why(self, code: int) -> str:
        if self._words:
            return f"service {self.name} did not start: {self._words} (log: {self._log})"
        return self._with_log(f"service {self.name} did not start: it {ending(code)}")

    def _with_log(self, words: str) -> str:
        lines = tail(self._log, self._log_start)
        if not lines:
            return f"{words}; its log {self._log} is empty"
        return "\n    ".join([f"{words}. The last lines of {self._log}:", *lines])


def _names(facts: Facts, key: str) -> tuple[str, ...]:
    found = facts.get(key)
    return tuple(map(str, cast("list[object]", found))) if isinstance(found, list) else ()
