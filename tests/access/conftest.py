"""A shop in the working directory, and the command line there."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from access.meshes import Shop
from meshpact.cli import main


@dataclass(frozen=True)
class Ran:
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """What it printed, as JSON."""
        return json.loads(self.out)


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    monkeypatch.chdir(tmp_path)
    return Shop(tmp_path)


@pytest.fixture
def access(capsys: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    """Runs `meshpact access ...` here."""

    def run(*arguments: str | Path) -> Ran:
        code = main(["access", *map(str, arguments)])
        shown = capsys.readouterr()
        assert "Traceback" not in shown.err
        return Ran(code, shown.out, shown.err)

    return run
