"""The live table on a terminal, on a terminal."""

import os
import pty
import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from meshpact.servers.supervisor.live import LiveView
from meshpact.servers.supervisor.snapshot import ServiceView, Snapshot
from upmesh import environment, write_mesh

ESCAPES = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


def test_a_terminal_shows_services_and_lines_to_copy(tmp_path: Path) -> None:
    write_mesh(tmp_path)
    process, terminal = pty.fork()
    if process == 0:
        os.chdir(tmp_path)
        command = [sys.executable, "-m", "meshpact.cli", "up"]
        os.execve(command[0], command, {**environment(), "TERM": "xterm", "COLUMNS": "100"})
    shown, stopped = "", False
    while chunk := read(terminal):
        shown += ESCAPES.sub("", chunk.decode(errors="replace"))
        if not stopped and "Ctrl-C ends the mesh" in shown and "grpcurl" in shown:
            os.write(terminal, b"\x03")  # what a terminal sends for Ctrl-C
            stopped = True
    assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == 0, shown
    assert stopped, shown
    table = next(line for line in shown.splitlines() if "alpha" in line and "ready" in line)
    assert "127.0.0.1:" in table
    (line,) = (line for line in shown.splitlines() if "grpcurl" in line)
    assert line.rstrip().endswith("demo.v1.DemoService/Echo")
    assert "Traceback" not in shown


def test_an_identity_that_nobody_renews_stands_beside_the_state(
    capsys: pytest.CaptureFixture[str],
) -> None:
    service = ServiceView("alpha", "ready", 7, "127.0.0.1:1", "127.0.0.1:2", 0, 0.0, "")
    for identity in ("", "identity expires soon"):
        view = LiveView()
        view.show(Snapshot([replace(service, identity=identity)], ready_s=1.0))
        view.ending()
        shown = ESCAPES.sub("", capsys.readouterr().out)
        assert ("ready, identity" in shown) is bool(identity)
        assert "ready" in shown


def read(terminal: int) -> bytes:
    """What the terminal shows next; empty once nobody writes to it any more."""
    try:
        return os.read(terminal, 65536)
    except OSError:
        return b""
