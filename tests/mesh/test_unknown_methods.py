"""A method in mesh.yaml that no contract has stops a mesh, and is refused while it runs."""

from __future__ import annotations

from pathlib import Path

import pytest

import upmesh
from meshpact.mesh.bindings import Reloader
from meshpact.mesh.config import load
from meshpact.mesh.methodcheck import unknown_methods
from meshpact.mesh.problems import MeshFileError
from upmesh import meshpact, write_mesh

KNOWN = {"demo.v1.DemoService/Echo", "demo.v1.DemoService/Count"}


def mesh(folder: Path, *lines: str) -> Path:
    path = folder / "mesh.yaml"
    path.write_text("\n".join(["trust_domain: demo.example", *lines, ""]))
    return path


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        (
            ["methods:", "  demo.v1.DemoService/Ecko: {mode: observe}"],
            "mesh.yaml:3: methods.demo.v1.DemoService/Ecko: demo.v1.DemoService has no method "
            "'Ecko'; allowed: demo.v1.DemoService/Count, demo.v1.DemoService/Echo. Did you mean "
            "demo.v1.DemoService/Echo?",
        ),
        (
            ["networks:", "  methods:", "    demo.v1.DemoServis/*: [10.0.0.0/8]"],
            "mesh.yaml:4: networks.methods.demo.v1.DemoServis/*: no contract has the service "
            "'demo.v1.DemoServis'; allowed: demo.v1.DemoService/*. Did you mean "
            "demo.v1.DemoService/*?",
        ),
    ],
)
def test_a_method_that_no_contract_has_is_named_with_its_line(
    tmp_path: Path, lines: list[str], found: str
) -> None:
    path = mesh(tmp_path, *lines)
    (problem,) = unknown_methods(path, load(path), KNOWN, whole=True)
    assert str(problem) == f"{tmp_path}/{found}"


def test_one_process_judges_its_own_services_only(tmp_path: Path) -> None:
    other = "other.v1.Other/Get: {mode: observe}"
    path = mesh(tmp_path, "methods:", f"  {other}", "  demo.v1.DemoService/*: {mode: observe}")
    assert unknown_methods(path, load(path), KNOWN, whole=False) == []


async def test_a_reload_with_such_a_method_is_refused(tmp_path: Path) -> None:
    path = mesh(tmp_path, "roles: {a: {workloads: [spiffe://demo.example/x]}}")
    refused: list[MeshFileError] = []
    reloader = Reloader(path, refused=refused.append)
    reloader.require(lambda config: unknown_methods(path, config, KNOWN, whole=False))
    before = reloader.current
    mesh(tmp_path, "methods: {demo.v1.DemoService/Ecko: {mode: observe}}")
    assert not await reloader.reload()
    assert reloader.current is before
    assert "mesh.yaml:2: methods.demo.v1.DemoService/Ecko" in str(refused[0])
    mesh(tmp_path, "methods: {demo.v1.DemoService/Echo: {mode: observe}}")
    assert await reloader.reload()
    assert reloader.current.observes("demo.v1.DemoService/Echo")


def test_up_does_not_start_with_such_a_method(tmp_path: Path) -> None:
    more = "networks: {methods: {demo.v2.DemoService/*: [127.0.0.1]}}\n"
    write_mesh(tmp_path, upmesh.MESH + more)
    refused = meshpact(tmp_path, "up", "--for", "1")
    assert refused.returncode == 2
    assert "no contract has the service 'demo.v2.DemoService'" in refused.stderr
    assert "Did you mean demo.v1.DemoService/*?" in refused.stderr


def test_serve_does_not_start_with_such_a_method_of_its_own(tmp_path: Path) -> None:
    write_mesh(tmp_path)
    assert meshpact(tmp_path, "up", "--for", "0").returncode == 0
    write_mesh(tmp_path, upmesh.MESH + "methods: {demo.v1.DemoService/Ecko: {mode: observe}}\n")
    refused = meshpact(tmp_path, "serve", "--service", "alpha")
    assert refused.returncode == 2
    assert "demo.v1.DemoService has no method 'Ecko'" in refused.stderr
    assert refused.stdout == ""
