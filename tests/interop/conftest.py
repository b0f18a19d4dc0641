"""What the interop tests stand on: grpcurl as its authors made it, and a real mesh to aim it at."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from interop import grpcurlbuild
from meshpact.mesh.state import RunningMesh, State

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def grpcurl() -> Path:
    """grpcurl: the one on PATH, or one built from Go modules."""
    return grpcurlbuild.found() or grpcurlbuild.build() or pytest.skip(grpcurlbuild.MISSING)


class RunningShop:
    """The mesh of mesh.yaml, without its driver, in a directory of its own."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.state = State(home / ".meshpact")

    def address(self, service: str) -> str:
        running = msgspec.json.decode(self.state.mesh_file.read_bytes(), type=RunningMesh)
        return running.services[service][0].address

    def run(self, *argv: str | Path) -> subprocess.CompletedProcess[str]:
        """A command, as a person standing in the mesh's directory gives it."""
        return subprocess.run(
            [str(part) for part in argv],
            cwd=self.home,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )

    def meshpact(self, *argv: str) -> subprocess.CompletedProcess[str]:
        return self.run(Path(sys.executable).with_name("meshpact"), *argv)


def undriven(source: Path) -> str:
    """The text of a mesh.yaml whose driver is left out and whose services take any free port."""
    mesh: dict[str, Any] = yaml.safe_load(source.read_text())
    mesh.pop("driver", None)
    for system in mesh.get("systems", {}).values():
        system.pop("driver", None)
    for service in mesh["services"].values():
        service.pop("address", None)
    text: str = yaml.safe_dump(mesh, sort_keys=False)
    return text


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningShop]:
    """Starts the mesh with `meshpact up`, as everybody does, and ends it with SIGTERM."""
    home = tmp_path_factory.mktemp("shop")
    (home / "mesh.yaml").write_text(undriven(ROOT / "mesh.yaml"))
    with subprocess.Popen(
        [str(Path(sys.executable).with_name("meshpact")), "up", "mesh.yaml"],
        cwd=home,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            said = until_ready(process)
            yield RunningShop(home)
            process.send_signal(signal.SIGTERM)
            said += process.communicate(timeout=60)[0]
            assert process.returncode == 0, said
        finally:
            process.kill()


def until_ready(process: subprocess.Popen[str]) -> str:
    """What `meshpact up` says until all services are ready; fails when it ends before."""
    said = ""
    for line in process.stdout or ():
        said += line
        if line.startswith("ready after"):
            return said
    pytest.fail(f"the mesh ended before it was ready:\n{said}")
