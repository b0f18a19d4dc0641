"""Commands on a state directory as a person gives them, for the tests of `meshpact certs`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from meshpact.cli import main


@dataclass
class Outcome:
    """How a command ended."""

    code: int
    out: str
    err: str


class Shell:
    """Runs commands on one state directory."""

    def __init__(self, root: Path, captured: pytest.CaptureFixture[str]) -> None:
        self.root = root
        self.state = root / ".meshpact"
        self._captured = captured

    def __call__(self, *words: str | Path) -> Outcome:
        code = main([str(word) for word in words])
        read = self._captured.readouterr()
        return Outcome(code, read.out, read.err)

    def on_state(self, *words: str | Path) -> Outcome:
        return self(*words, "--state", self.state)


def new_shell(
    root: Path, captured: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Shell:
    """A shell in a folder, without what a developer may have in the environment."""
    monkeypatch.chdir(root)
    return Shell(root, captured)
