"""The retail mesh as `meshpact up` runs it, in a folder of its own, with a driver to choose."""

from __future__ import annotations

import json
import os
import queue
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Final

import psutil

from claims import NotMeasured
from meshpact.mesh.state import State

ROOT: Final = Path(__file__).parents[2]
DRIVER: Final = "reference.retail.driver:run"
SERVICES: Final[tuple[str, ...]] = ("inventory", "orders", "shipping", "store", "store-2")
PATIENCE: Final = 60.0
ORDERS: Final = re.compile(r"([\d,]+) orders")


class Running:
    """A running mesh, driven by a function of `reference.retail.driver`; `said` is what it told."""

    def __init__(self, driver: str = "run") -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="meshpact-shop-")
        self.home = Path(self._folder.name)
        text = (ROOT / "mesh.yaml").read_text(encoding="utf-8")
        if DRIVER not in text:
            raise NotMeasured(f"mesh.yaml does not name the driver {DRIVER}")
        text = text.replace(DRIVER, f"reference.retail.driver:{driver}")
        (self.home / "mesh.yaml").write_text(text, encoding="utf-8")
        self.state = State(self.home / ".meshpact")
        self.said: list[str] = []
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()

    def __enter__(self) -> Running:
        meshpact = str(Path(sys.executable).parent / "meshpact")
        self._process = subprocess.Popen(
            [meshpact, "up", "mesh.yaml", "--json"],
            cwd=self.home,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(30)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._reader.join(5)
        for pipe in (self._process.stdout, self._process.stderr):
            if pipe is not None:
                pipe.close()
        self._folder.cleanup()

    def until(self, words: str, patience: float = PATIENCE) -> str:
        """Waits until it says `words`; the line. NotMeasured when it does not."""
        end = time.monotonic() + patience
        while True:
            try:
                line = self._lines.get(timeout=max(end - time.monotonic(), 0.01))
            except queue.Empty:
                line = None
            if line is None:
                raise NotMeasured(f"{words!r} was not said:\n{''.join(self.said[-20:])}")
            if words in line:
                return line

    def placed(self) -> int:
        """Orders placed so far, as it last said."""
        for line in reversed(self.said):
            if found := ORDERS.search(line):
                return int(found[1].replace(",", ""))
        return 0

    def until_more(self, than: int) -> int:
        """Waits until more orders are placed, and tells how many. NotMeasured when none come."""
        end = time.monotonic() + PATIENCE
        while (placed := self.placed()) <= than:
            if time.monotonic() > end:
                raise NotMeasured(f"no further orders were placed:\n{''.join(self.said[-20:])}")
            time.sleep(0.1)
        return placed

    def pid(self, service: str) -> int:
        """The process of a service, 0 when it has none now."""
        running = self.state.read_running()
        found = running.services.get(service) if running is not None else None
        return found[0].pid if found else 0

    def kill(self, service: str) -> bool:
        """Kills a service with SIGKILL; False when it has no process now."""
        pid = self.pid(service)
        try:
            parent = psutil.Process(pid).ppid() if pid else 0
        except psutil.NoSuchProcess:
            return False
        if parent != self._process.pid:
            return False
        os.kill(pid, signal.SIGKILL)
        return True

    def whole(self) -> bool:
        """Whether every service has a process that lives."""
        return all((pid := self.pid(name)) and psutil.pid_exists(pid) for name in SERVICES)

    def processor(self) -> dict[str, float]:
        """Seconds of processor time so far, by what the process is."""
        spent: dict[str, float] = {}
        for process in psutil.Process(self._process.pid).children(recursive=True):
            try:
                words = process.cmdline()
                times = process.cpu_times()
            except psutil.Error:
                continue
            name = words[words.index("--service") + 1] if "--service" in words else "others"
            spent[name] = spent.get(name, 0.0) + times.user + times.system
        return spent

    def end(self) -> dict[str, Any]:
        """Ends it, and gives its report."""
        self._process.send_signal(signal.SIGTERM)
        assert self._process.stdout is not None
        out = self._process.stdout.read()
        self._process.wait(PATIENCE)
        try:
            report: dict[str, Any] = json.loads(out.splitlines()[-1])
        except (IndexError, ValueError):
            raise NotMeasured(f"no report:\n{''.join(self.said[-20:])}") from None
        return report

    def _read(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self.said.append(line)
            self._lines.put(line)
        self._lines.put(None)
