"""Generated code answers calls with the oldest dependencies that Meshpact states, and the newest.

Each set is installed from the package index into an environment of its own.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
import venv
from pathlib import Path

import pytest

import contractfiles
from contractstrategies import Contract, drawn
from meshpact.contracts.generate import generate

REPOSITORY = Path(__file__).parents[2]
ROOTS = ("generated", "certs", "mesh", "interceptors", "clients", "servers", "contracts", "testing")

pytestmark = pytest.mark.timeout(600)  # much of it waits for the index


def stated(*, oldest: bool) -> list[str]:
    """Every dependency of a running service, as the oldest that is stated or as any."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    found: list[str] = []
    for line in project["dependencies"]:
        match = re.match(r"([\w.-]+(?:\[\w+\])?)>=([\w.]+)", line)
        assert match, f"{line} states no oldest version"
        found.append(f"{match[1]}=={match[2]}" if oldest else line)
    return [*found, "h2"]  # meshpact.testing


def environment(home: Path, requirements: list[str]) -> Path:
    """The Python of an environment with these packages and none of ours."""
    venv.create(home, symlinks=True)
    python = home / "bin" / "python"
    install = ["-m", "pip", "--python", str(python), "install", "--quiet", "--upgrade"]
    done = subprocess.run(
        [sys.executable, *install, *requirements], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return python


@pytest.fixture(scope="module")
def everything() -> list[Contract]:
    """Contracts that no person wrote."""
    return drawn(40)


@pytest.fixture(scope="module")
def generated(everything: list[Contract], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the tools of this environment generate from them."""
    folder = tmp_path_factory.mktemp("floors")
    for contract in everything:
        contractfiles.write(folder / "protos", contract.files)
    generate([folder / "protos"], folder / "generated")
    return folder / "generated"


@pytest.mark.parametrize("oldest", [True, False], ids=["the oldest stated", "the newest"])
def test_every_generated_method_answers(
    oldest: bool, everything: list[Contract], generated: Path, tmp_path: Path
) -> None:
    python = environment(tmp_path / "venv", stated(oldest=oldest))
    paths = [generated, *(REPOSITORY / root for root in ROOTS), REPOSITORY / "tests"]
    done = subprocess.run(
        [str(python), "-P", "-m", "roundtrip"],
        input=json.dumps([contract.module for contract in everything]),
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": ":".join(map(str, paths))},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    rpcs = sum(text.count("  rpc ") for contract in everything for text in contract.files.values())
    assert int(done.stdout) == 2 * rpcs
