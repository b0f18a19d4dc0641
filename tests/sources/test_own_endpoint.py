"""A program that knows nothing of the mesh's files gets its identity from the mesh's own agent."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

from meshpact.certs.ca import LocalCA, write_svid
from meshpact.certs.spiffe import SpiffeId
from reports import Reports
from upmesh import MESH, Up, write_mesh

DIAL = Path(__file__).with_name("dial.py")
CALLER = SpiffeId.parse("spiffe://demo.example/caller")


def test_it_calls_a_service_of_the_mesh_before_and_after_a_rotation() -> None:
    with tempfile.TemporaryDirectory(prefix="dial-", dir="/tmp") as folder:
        home = Path(folder)
        reports = Reports(home / "reports.sock")
        command = json.dumps([sys.executable, str(DIAL), str(reports.path)])
        text = MESH.replace("caller: {}", f'caller: {{command: {command}, address: ""}}')
        write_mesh(home, text)
        with Up(home) as up:
            up.ready()
            first = reports.wait("caller", "called")
            assert (first["id"], first["answer"]) == (str(CALLER), "hi")
            new = LocalCA.load(up.state.ca).issue(CALLER)
            write_svid(up.state.identity("caller"), new)
            reports.wait("caller", "called", lambda said: said["serial"] == f"{new.serial:x}")
        reports.close()
