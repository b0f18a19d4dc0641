"""acme.identity as `meshpact up` runs it: its own process, the project's mesh.yaml."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest

from identityworld import Browser
from systemmesh import ROOT, system_mesh
from upmesh import Up

pytestmark = pytest.mark.asyncio(loop_scope="module")


class Running(NamedTuple):
    """The mesh, its state, and the issuer."""

    up: Up
    state: Path
    issuer: str


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    home = tmp_path_factory.mktemp("up")
    with system_mesh(home) as mesh, Up(home, mesh, "--system", "identity") as up:
        up.ready()
        issuer = next(
            line.split()[0] for line in up.said if re.fullmatch(r"  http\S+ +identity\n?", line)
        )
        yield Running(up, home / ".meshpact", issuer.strip())


def command(state: Path, *argv: str) -> subprocess.CompletedProcess[str]:
    """One command of `python -m reference.identity`."""
    return subprocess.run(
        [sys.executable, "-m", "reference.identity", *argv, "--state", str(state)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


async def test_up_says_where_the_passwords_of_the_staff_are(running: Running) -> None:
    [line] = [line for line in running.up.said if "passwords of the staff" in line]
    path = running.up.home / line.rpartition(" ")[2].strip()
    assert path.stat().st_mode & 0o777 == 0o600
    names = dict(line.split() for line in path.read_text().splitlines())
    async with Browser() as browser:
        form = await browser.get(f"{running.issuer}/login")
        page = await browser.follow(await browser.sign_in(form, "supervisor", names["supervisor"]))
        assert "in the groups supervisor" in page.text


async def test_keys_are_rotated_and_taken_back_while_it_runs(running: Running) -> None:
    async def published() -> list[str]:
        async with httpx.AsyncClient() as http:
            answer = await http.get(f"{running.issuer}/jwks.json")
            return [key["kid"] for key in answer.json()["keys"]]

    [first] = await published()
    new = command(running.state, "rotate").stdout.split()[0]
    assert await published() == [first, new]
    listed = command(running.state, "keys").stdout.splitlines()
    assert listed == [f"{first}  signs", f"{new}  is published"]
    assert "is taken back" in command(running.state, "drop", first).stdout
    assert await published() == [new]
    again = command(running.state, "drop", first)
    assert (again.returncode, "there is no key" in again.stderr) == (1, True)


async def test_a_state_without_keys_is_told(tmp_path: Path) -> None:
    done = command(tmp_path, "rotate")
    assert done.returncode == 2
    assert "holds no keys of identity" in done.stderr
    (tmp_path / "identity" / "keys").mkdir(parents=True)
    (tmp_path / "identity" / "keys" / "keys.json").write_text("{")
    done = command(tmp_path, "rotate")
    assert done.returncode == 2
    assert "chmod 600" in done.stderr
