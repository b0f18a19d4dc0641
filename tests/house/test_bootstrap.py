"""`.ci/bootstrap` makes .venv once, again when its inputs change, and after a failure.

A stand-in for Python takes the place of the real one, so that a setup takes no minute: it makes a
.venv whose pip writes down that it was asked, waits while a file named `pip-waits` exists, and
fails when one named `pip-fails` does.
"""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

BOOTSTRAP = Path(__file__).parents[2] / ".ci" / "bootstrap"
STAND_IN = """#!/bin/sh
case "$*" in
    "-m venv .venv") mkdir -p .venv/bin && cp "$0" .venv/bin/python && echo venv >>log ;;
    "-m pip install"*)
        echo "pip ${*##*pip-version-check }" >>log
        while [ -e pip-waits ]; do sleep 0.02; done
        if [ -e pip-fails ]; then echo "no such release" >&2; exit 1; fi
        ;;
esac
"""
SETTING_UP = "Setting up .venv (once, about a minute)...\n"
MADE = ["venv", "pip -c constraints.txt -e .[dev]"]


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    root = tmp_path / "a clone"
    (root / ".ci").mkdir(parents=True)
    shutil.copy(BOOTSTRAP, root / ".ci")
    (root / "pyproject.toml").write_text("[project]\n")
    (root / "constraints.txt").write_text("a==1\n")
    python = root / "python-stand-in"
    python.write_text(STAND_IN)
    python.chmod(0o755)
    return root


def start(clone: Path, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        ["/bin/sh", str(clone / ".ci" / "bootstrap")],
        env={**os.environ, "PYTHON": str(clone / "python-stand-in"), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def bootstrap(clone: Path, **environment: str) -> tuple[int, str]:
    process = start(clone, **environment)
    said, _ = process.communicate(timeout=30)
    return process.returncode, said


def done(clone: Path) -> list[str]:
    """What was done since the last look."""
    log = clone / "log"
    lines = log.read_text().splitlines() if log.exists() else []
    log.unlink(missing_ok=True)
    return lines


def test_the_first_setup_says_one_line_and_the_second_does_nothing(clone: Path) -> None:
    assert bootstrap(clone) == (0, SETTING_UP)
    assert done(clone) == MADE
    assert bootstrap(clone) == (0, "")
    assert done(clone) == []


@pytest.mark.parametrize("changed", ["pyproject.toml", "constraints.txt"])
def test_a_changed_input_is_installed_into_the_same_environment(clone: Path, changed: str) -> None:
    bootstrap(clone)
    done(clone)
    (clone / changed).write_text("something = 'else'\n")
    assert bootstrap(clone) == (0, "Bringing .venv up to date...\n")
    assert done(clone) == MADE[1:]


def test_an_input_that_was_only_touched_changes_nothing(clone: Path) -> None:
    bootstrap(clone)
    done(clone)
    os.utime(clone / "pyproject.toml", (2e9, 2e9))
    assert bootstrap(clone) == (0, "")
    assert done(clone) == []


def test_pips_own_words_are_shown_and_the_next_setup_starts_anew(clone: Path) -> None:
    (clone / "pip-fails").touch()
    code, said = bootstrap(clone)
    assert code == 2
    assert "no such release" in said
    assert "pip could not install what pyproject.toml asks for" in said
    (clone / "pip-fails").unlink()
    done(clone)
    assert bootstrap(clone)[0] == 0
    assert done(clone) == MADE


def test_a_clone_that_was_moved_gets_an_environment_of_its_own(clone: Path) -> None:
    bootstrap(clone)
    done(clone)
    moved = clone.rename(clone.with_name("moved"))
    assert bootstrap(moved)[0] == 0
    assert done(moved) == MADE


def test_an_environment_without_a_working_python_is_made_anew(clone: Path) -> None:
    bootstrap(clone)
    done(clone)
    (clone / ".venv/bin/python").unlink()
    assert bootstrap(clone)[0] == 0
    assert done(clone) == MADE


@pytest.mark.skipif(shutil.which("flock") is None, reason="two setups at once need flock")
def test_two_setups_at_once_install_once(clone: Path) -> None:
    (clone / "pip-waits").touch()
    first = start(clone)
    assert first.stdout is not None
    assert first.stdout.readline() == SETTING_UP
    second = start(clone)
    assert second.stdout is not None
    assert second.stdout.readline() == "Waiting for another setup of .venv to end...\n"
    (clone / "pip-waits").unlink()
    assert first.communicate(timeout=30)[0] == ""
    assert second.communicate(timeout=30)[0] == ""
    assert (first.returncode, second.returncode) == (0, 0)
    assert done(clone) == MADE


def test_a_python_that_was_named_but_does_not_work_is_refused(clone: Path) -> None:
    code, said = bootstrap(clone, PYTHON="/no/such/python")
    assert code == 2
    assert "PYTHON=/no/such/python is not a working Python of at least 3.11" in said
    assert done(clone) == []


def test_without_any_python_the_message_says_which_were_looked_for(clone: Path) -> None:
    tools = clone / "tools"
    tools.mkdir()
    for tool in ("cat", "cksum", "dirname", "head", "mkdir"):
        (tools / tool).symlink_to(str(shutil.which(tool)))
    code, said = bootstrap(clone, PYTHON="", PATH=str(tools))
    assert code == 2
    assert "no Python of at least 3.11 was found (looked for python3.13, python3.12" in said
    assert "make setup PYTHON=/path/to/python3" in said
