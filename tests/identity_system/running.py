"""acme.identity in a process of its own, which tests kill and start again; passwords are cheap."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any

from identityworld import CHEAP, MESH
from meshpact.mesh.config import load
from meshpact.mesh.state import State
from meshpact.servers.context import ServiceContext
from meshpact.servers.supervisor.identities import Identities
from reference.identity.app import Settings, build
from systemmesh import hold

TESTS = Path(__file__).parent.parent


async def create(context: ServiceContext) -> list[Any]:
    """The factory that the process's mesh.yaml names."""
    made = await build(context, Settings(hashing=CHEAP))
    await context.serve_web(made.app)
    return list(made.servicers)


class Running:
    """The mesh of one authorization server; `start` and `kill` are those of its process."""

    def __init__(self, folder: Path, ports: dict[str, int]) -> None:
        mesh = folder / "mesh.yaml"
        text = MESH.format(**ports).replace("any:create", "identity_system.running:create", 1)
        mesh.write_text(text)
        self.config = load(mesh)
        self.state = State(folder / "state")
        self.state.create()
        Identities(self.config, self.state, lambda text: None).prepare()
        self.issuer = f"http://localhost:{ports['identity']}"
        self.database = self.state.root / "databases" / "identity.db"
        self.keys = self.state.root / "identity" / "keys"
        self.log = folder / "log"
        self.facts: dict[str, Any] = {}
        self._mesh = mesh
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Starts it, and waits until it is ready."""
        argv = ["serve", "--service", "identity", "--mesh", self._mesh, "--state", self.state.root]
        with self.log.open("a") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "meshpact.cli", *map(str, argv)],
                env={**os.environ, "PYTHONPATH": str(TESTS)},
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, self.log.read_text()
        self.facts = json.loads(line)

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Ends it, by default at once; what it was doing stays as it is."""
        if self._process is not None:
            self._process.send_signal(number)
            self._process.communicate(timeout=60)
            self._process = None


@contextlib.contextmanager
def running(folder: Path) -> Generator[Running]:
    """One that is started, and ended in the end."""
    with contextlib.ExitStack() as stack:
        names = ("identity", "streaming", "dashboard", "support")
        made = Running(folder, {name: hold(stack) for name in names})
        stack.callback(made.kill)
        made.start()
        yield made
