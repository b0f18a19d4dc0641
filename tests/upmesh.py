"""A mesh run by `meshpact up` as a person runs it: a process of its own in a folder of its own."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil

from meshpact.mesh.state import RunningMesh, State

TESTS = Path(__file__).parent
PATHS = (TESTS, TESTS / "demo_contract" / "generated")
PATIENCE = 90.0
"""Seconds for which a line is waited for: less than a test may take."""

MESH = """\
trust_domain: demo.example
services:
  alpha: {factory: "toy:create"}
  caller: {}
  stranger: {}
roles:
  demo.caller: {workloads: [caller]}
  mesh.reflect: {workloads: [caller]}
issuers:
  - {issuer: "https://issuer.demo.example", file: .meshpact/issuers/local/jwks.json,
     audiences: [demo]}
examples:
  - {method: demo.v1.DemoService/Echo, data: '{"text": "hello"}', identity: caller}
"""
PAIR = MESH.replace("  caller: {}", '  beta: {factory: "toy:create"}\n  caller: {}')
"""The same with two services."""
TOY = """\
import demoservice

async def create(context):
    return [demoservice.Demo()]
"""


def environment() -> dict[str, str]:
    """The environment in which processes find the demo contract."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, PATHS))}


def write_mesh(home: Path, text: str = MESH, toy: str = TOY) -> Path:
    """A mesh.yaml and the module `toy` beside it."""
    (home / "toy.py").write_text(toy)
    path = home / "mesh.yaml"
    path.write_text(text)
    return path


def meshpact(home: Path, *argv: str | Path, data: str = "") -> subprocess.CompletedProcess[str]:
    """One command, in `home`, to its end."""
    return subprocess.run(
        [sys.executable, "-m", "meshpact.cli", *map(str, argv)],
        cwd=home,
        env=environment(),
        input=data,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


class Up:
    """`meshpact up --json` while it runs; leaving the `with` ends it."""

    def __init__(self, home: Path, *options: str | Path) -> None:
        self.home = home
        self.state = State(home / ".meshpact")
        self.said: list[str] = []
        self.process = subprocess.Popen(
            [sys.executable, "-m", "meshpact.cli", "up", "--json", *map(str, options)],
            cwd=home,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def until(self, words: str) -> str:
        """Read its progress until a line has `words`; that line. A mesh that goes on for PATIENCE
        seconds without it is ended, so that the test says what was said instead."""
        assert self.process.stderr is not None
        late = threading.Timer(PATIENCE, self.process.terminate)
        late.start()
        try:
            for line in self.process.stderr:
                self.said.append(line)
                if words in line:
                    return line
        finally:
            late.cancel()
        raise AssertionError(f"{words!r} was never said:\n{''.join(self.said)}")

    def ready(self) -> "Up":
        """Wait until all services are ready."""
        self.until("ready after")
        return self

    def driven(self) -> "Up":
        """Wait until its figures tell of orders."""
        while "  0 orders" in (line := self.until(" orders  ")) or "- orders" in line:
            pass
        return self

    @property
    def running(self) -> RunningMesh:
        """What `mesh.json` says."""
        found = self.state.read_running()
        assert found is not None
        return found

    def pid(self, service: str) -> int:
        """The process of a service."""
        return self.running.services[service][0].pid

    def children(self) -> list[psutil.Process]:
        """Every process it started."""
        return psutil.Process(self.process.pid).children(recursive=True)

    def finished(self) -> tuple[int, dict[str, Any]]:
        """Wait for its end: the exit code and the report on stdout, {} without one."""
        out, err = self.process.communicate(timeout=120)
        self.said += err.splitlines(keepends=True)
        report: dict[str, Any] = json.loads(out.splitlines()[-1]) if out.strip() else {}
        return self.process.returncode, report

    def end(self, number: int = signal.SIGTERM) -> tuple[int, dict[str, Any]]:
        """Send a signal and wait for the end."""
        self.process.send_signal(number)
        return self.finished()

    @property
    def words(self) -> str:
        """All it has said so far."""
        return "".join(self.said)

    def __enter__(self) -> "Up":
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.communicate(timeout=60)
            except subprocess.TimeoutExpired:
                self.process.kill()
        self.process.communicate()


def gone(processes: Sequence[psutil.Process], seconds: float = 60) -> bool:
    """Whether all of them have ended, within `seconds`."""
    _, alive = psutil.wait_procs(processes, timeout=seconds)
    return all(process.status() == psutil.STATUS_ZOMBIE for process in alive)
