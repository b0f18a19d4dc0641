"""`denied` of mesh.yaml holds without a restart: for new calls and for those that run."""

from __future__ import annotations

from pathlib import Path

import pytest

from denial.stage import REFUSED, refusal, staged
from guard.scripted import KEY, message, path
from guard.situations import ALL_SHAPES, KINDS
from meshpact.interceptors.errors import Code
from meshpact.mesh.bindings import Reloader
from meshpact.mesh.config import load
from meshpact.mesh.problems import MeshFileError
from meshpact.testing.hosting import Kind

CALLER = "spiffe://test.example/caller"


def mesh_yaml(folder: Path, denied: str = "") -> Path:
    file = folder / "mesh.yaml"
    file.write_text(
        "trust_domain: test.example\n"
        "services: {caller: {}, other: {}, server: {}}\n"
        "roles:\n  demo.caller: {workloads: [caller, other]}\n" + denied
    )
    return file


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", ALL_SHAPES)
def test_what_mesh_yaml_denies_ends_while_it_runs_and_is_let_in_again_afterwards(
    kind: Kind, shape: str, tmp_path: Path
) -> None:
    reloader = Reloader(mesh_yaml(tmp_path))
    stop = reloader.watch_thread()
    try:
        with (
            staged(kind, bindings=reloader) as stage,
            stage.connect() as wire,
            stage.connect("other") as other,
        ):
            running = stage.call_until_it_waits(wire, shape)
            mesh_yaml(tmp_path, "denied: {workloads: [caller]}\n")
            assert refusal(wire.answer(running, 30)) == REFUSED
            assert refusal(wire.call(path(shape), message(shape, KEY))) == REFUSED
            assert other.call(path(shape), message(shape, KEY)).code is Code.OK
            mesh_yaml(tmp_path)
            assert reloader.reload_sync()
            assert wire.call(path(shape), message(shape, KEY)).code is Code.OK
    finally:
        stop()


def test_a_bad_file_leaves_the_denials_as_they_are(tmp_path: Path) -> None:
    refused: list[MeshFileError] = []
    file = mesh_yaml(tmp_path, "denied: {workloads: [caller]}\n")
    reloader = Reloader(file, refused=refused.append)
    told: list[bool] = []
    reloader.subscribe(lambda: told.append(True))
    mesh_yaml(tmp_path, "denied: {workloads: [nobody]}\n")
    assert not reloader.reload_sync()
    assert "denied.workloads[0]" in str(refused[0])
    assert reloader.current.denied.refuses(CALLER, 1)
    assert not told


@pytest.mark.parametrize(
    ("entry", "spiffe_id", "serial", "refused"),
    [
        ("workloads: [caller]", CALLER, 1, True),
        ("workloads: [caller]", CALLER + "s", 1, False),
        ("workloads: [caller]", CALLER + "/a", 1, False),
        ("workloads: ['spiffe://test.example/*']", CALLER, 1, True),
        ("workloads: ['spiffe://test.example/*']", "spiffe://test.example.evil/x", 1, False),
        ("workloads: ['spiffe://other.example/ns/*']", "spiffe://other.example/ns/a/b", 1, True),
        ("workloads: ['spiffe://other.example/ns/*']", "spiffe://other.example/nsx", 1, False),
        ("serials: ['0aF3']", CALLER, 0xAF3, True),
        ("serials: ['0A:F3']", CALLER, 0xAF3, True),
        ("serials: ['0aF3']", CALLER, 0xAF4, False),
        ("serials: [12e4, 0012]", CALLER, 0x12E4, True),
        ("serials: [12e4, 0012]", CALLER, 0x12, True),
        ("serials: ['0']", "", 0, False),
        ("", CALLER, 0, False),
    ],
)
def test_an_entry_refuses_whom_it_names(
    tmp_path: Path, entry: str, spiffe_id: str, serial: int, refused: bool
) -> None:
    file = mesh_yaml(tmp_path, f"denied: {{{entry}}}\n")
    denied = Reloader(file).current.denied
    assert denied.some is bool(entry)
    assert denied.refuses(spiffe_id, serial) is refused


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ("workloads: [caler]", "unknown service 'caler'"),
        ("workloads: ['spiffe://test.example/a*']", "a * stands at the end alone"),
        ("workloads: ['spiffe://Test.example/a']", "denied.workloads[0]"),
        ("serials: [xyz]", "found 'xyz'"),
        ("serials: ['']", "a serial number in hexadecimal, as meshpact certs show prints it"),
        ("serials: ['0x1f']", "a serial number in hexadecimal"),
        ("users: [alice]", "denied.users"),
    ],
)
def test_an_entry_that_names_nothing_is_told_with_its_line(
    tmp_path: Path, entry: str, told: str
) -> None:
    with pytest.raises(MeshFileError) as caught:
        load(mesh_yaml(tmp_path, f"denied:\n  {entry}\n"))
    assert told in str(caught.value)
    assert "mesh.yaml:6" in str(caught.value)
