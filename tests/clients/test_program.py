"""How printed lines name this program: as the shell that they are pasted into finds it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from meshpact.clients.dynamic.program import program


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of programs with an interpreter and a `meshpact`, below the current directory."""
    folder = tmp_path / "venv" / "bin"
    folder.mkdir(parents=True)
    (folder / "meshpact").touch(mode=0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "executable", str(folder / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    return folder


@pytest.mark.usefixtures("installed")
def test_without_one_on_path_it_is_the_one_beside_the_interpreter() -> None:
    assert program() == "venv/bin/meshpact"


def test_one_on_path_goes_by_its_name(installed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(installed))
    assert program() == "meshpact"


def test_without_any_it_goes_by_its_name(installed: Path) -> None:
    (installed / "meshpact").unlink()
    assert program() == "meshpact"
