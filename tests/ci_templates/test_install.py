"""Meshpact installed for a run, into an environment of its own."""

from __future__ import annotations

import subprocess
from importlib.metadata import version
from pathlib import Path

import pytest

from ci_templates.release import OFFLINE
from ci_templates.runner import BIN, CI, environment


def _install(home: Path, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", str(CI / "install.sh")],
        cwd=home,
        env=environment(home, **{**OFFLINE, **more}),
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_package_is_installed_and_found_by_the_steps_that_follow(home: Path, hooks: Path) -> None:
    told = {"MESHPACT_VENV": "own", "GITHUB_PATH": str(home / "path")}
    for module in ("venv", "pip", "ensurepip", "runpy", "subprocess"):  # as a change may bring them
        (home / f"{module}.py").write_text(f"open('{home}/ran', 'w').close()\n")
    done = _install(home, MESHPACT_PACKAGE=str(hooks), **told)
    assert done.returncode == 0, done.stderr
    assert version("meshpact") in done.stdout
    assert (home / "path").read_text() == f"{home}/own/bin\n"
    assert (home / "own/bin/meshpact").is_file()
    assert not (home / "ran").exists()


@pytest.mark.parametrize(
    ("package", "path", "said"),
    [
        ("meshpact[contracts]==99.0", "", "pip could not install meshpact[contracts]==99.0"),
        ("--index-url=nowhere", "", "is an option of pip"),
        ("", "/usr/bin:/bin", "there is no meshpact, and MESHPACT_PACKAGE names none"),
    ],
)
def test_what_cannot_be_installed_is_said(home: Path, package: str, path: str, said: str) -> None:
    more = {"PATH": path} if path else {}
    done = _install(home, MESHPACT_PACKAGE=package, RUNNER_TEMP=str(home), **more)
    assert (done.returncode, said in done.stderr) == (2, True), done.stderr


def test_without_a_package_the_command_that_is_there_serves(home: Path) -> None:
    assert (BIN / "meshpact").is_file()
    assert _install(home, MESHPACT_PACKAGE="").returncode == 0
