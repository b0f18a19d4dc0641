"""A shop in a git repository, and the command line there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from meshpact.cli import main
from review.reviews import Ran, Repository


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repository:
    top = tmp_path / "shop"
    top.mkdir()
    monkeypatch.chdir(top)
    return Repository(top)


@pytest.fixture
def review(capsys: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    """Runs `meshpact review ...` here."""

    def run(*arguments: str | Path) -> Ran:
        code = main(["review", *map(str, arguments)])
        shown = capsys.readouterr()
        assert "Traceback" not in shown.err
        assert "should not have happened" not in shown.err
        return Ran(code, shown.out, shown.err)

    return run
