"""Role bindings change while calls run: each call is judged by the old bindings or by the new."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from guard.scripted import KEY, Script, message, path, servicer
from guard.situations import KINDS
from meshpact.mesh.bindings import Reloader
from meshpact.mesh.problems import MeshFileError
from meshpact.testing.hosting import Kind, Workbench

ALLOWED, REFUSED = ("OK", ""), ("PERMISSION_DENIED", "ROLE_MISSING")


def mesh_yaml(holder: str) -> str:
    return f"""
trust_domain: test.example
services: {{caller: {{}}, other: {{}}, server: {{}}}}
roles:
  demo.caller: {{workloads: [{holder}]}}
"""


class Load:
    """A caller that never stops; remembers what each call was answered."""

    def __init__(self, bench: Workbench, port: int) -> None:
        self.answers: list[tuple[str, str]] = []
        self._bench, self._port = bench, port
        self._stop, self._grown = threading.Event(), threading.Condition()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        with self._bench.connect(self._port, "caller") as wire:
            while not self._stop.is_set():
                answer = wire.call(path("unary"), message("unary", KEY))
                code = answer.code.name if answer.code is not None else str(answer)
                with self._grown:
                    self.answers.append((code, answer.reason))
                    self._grown.notify_all()

    def next(self, count: int) -> list[tuple[str, str]]:
        """The next answers, without the one whose call may have begun before."""
        with self._grown:
            since = len(self.answers) + 1
            assert self._grown.wait_for(lambda: len(self.answers) >= since + count, 20)
            return self.answers[since:]

    def end(self) -> None:
        self._stop.set()
        self._thread.join(20)


@pytest.mark.parametrize("kind", KINDS)
def test_bindings_reload_under_load(kind: Kind, tmp_path: Path) -> None:
    file = tmp_path / "mesh.yaml"
    file.write_text(mesh_yaml("caller"))
    refused: list[MeshFileError] = []
    bindings = Reloader(file, refused=refused.append)
    with (
        Workbench() as bench,
        bench.serving(
            kind,
            lambda: [servicer(kind, Script())],
            guard=bench.guard(bindings=bindings),
        ) as port,
    ):
        load = Load(bench, port)
        try:
            assert set(load.next(20)) == {ALLOWED}
            for holder, expected in [("other", REFUSED), ("caller", ALLOWED)] * 3:
                file.write_text(mesh_yaml(holder))
                assert bindings.reload_sync()
                assert set(load.next(20)) == {expected}
            file.write_text("roles: [nonsense")
            assert not bindings.reload_sync()
            assert len(refused) == 1
            assert set(load.next(20)) == {ALLOWED}
        finally:
            load.end()
    assert set(load.answers) == {ALLOWED, REFUSED}
