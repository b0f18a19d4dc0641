"""A required group that is skipped or absent must fail a run in continuous integration."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CONFTEST = Path(__file__).parents[1] / "conftest.py"
PASSES = "def test_it() -> None:\n    assert True\n"
SKIPS = "import pytest\n\ndef test_it() -> None:\n    pytest.skip('no tool')\n"
SKIPS_WHOLE_FILE = "import pytest\npytest.skip('no tool', allow_module_level=True)\n"
FAILS_AS_EXPECTED = (
    "import pytest\n\n@pytest.mark.xfail\ndef test_it() -> None:\n    assert False\n"
)
REQUIRED = "# command group\ntest tests/a\ntest tests/b\ninterop tests/c\n"


def run(
    root: Path, files: dict[str, str], *args: str, ci: str = "true", command: str = "test"
) -> tuple[int, str]:
    """Runs pytest over `files` (path below tests -> content) as the Makefile does."""
    tests = root / "tests"
    tests.mkdir()
    shutil.copy(CONFTEST, tests)
    (tests / "required.txt").write_text(REQUIRED)
    for name, content in files.items():
        path = tests / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    environment = {**os.environ, "CI": ci, "MESHPACT_TEST_COMMAND": command}
    environment["PYTHONPATH"] = str(CONFTEST.parent)  # the plugins that conftest.py names
    environment["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # the others take half of a run's time
    command_line = f"pytest -p xdist -p no:cacheprovider --import-mode=importlib --rootdir {root}"
    done = subprocess.run(
        [sys.executable, "-m", *command_line.split(), *args, "tests"],
        cwd=root,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


IN_PARALLEL = pytest.mark.parametrize("how", [(), ("-n", "2")], ids=["alone", "in parallel"])


@IN_PARALLEL
def test_a_run_in_which_every_required_group_passed_passes(
    tmp_path: Path, how: tuple[str, ...]
) -> None:
    code, said = run(tmp_path, {"a/test_a.py": PASSES, "b/test_b.py": PASSES}, *how)
    assert code == 0, said
    assert "required groups" not in said


@IN_PARALLEL
@pytest.mark.parametrize("skips", [SKIPS, SKIPS_WHOLE_FILE], ids=["one test", "a whole file"])
def test_a_skip_in_a_required_group_fails_the_run_and_names_it(
    tmp_path: Path, how: tuple[str, ...], skips: str
) -> None:
    files = {"a/test_a.py": PASSES, "b/test_b.py": PASSES, "b/test_skips.py": skips}
    code, said = run(tmp_path, files, *how)
    assert code == 1, said
    assert "tests/b: skipped, which a required group may not be: tests/b/test_skips.py" in said
    assert "tests/a:" not in said


@IN_PARALLEL
def test_an_absent_group_fails_the_run_and_is_named(tmp_path: Path, how: tuple[str, ...]) -> None:
    code, said = run(tmp_path, {"a/test_a.py": PASSES, "b_too/test_b.py": PASSES}, *how)
    assert code == 1, said
    assert "tests/b: no test of this required group passed" in said


def test_a_group_of_nothing_but_expected_failures_is_absent(tmp_path: Path) -> None:
    code, said = run(tmp_path, {"a/test_a.py": PASSES, "b/test_b.py": FAILS_AS_EXPECTED})
    assert code == 1, said
    assert "tests/b: no test of this required group passed" in said


def test_a_skip_outside_the_required_groups_passes(tmp_path: Path) -> None:
    files = {"a/test_a.py": PASSES, "b/test_b.py": PASSES, "other/test_c.py": SKIPS}
    code, said = run(tmp_path, files)
    assert code == 0, said


def test_each_command_answers_for_its_own_groups(tmp_path: Path) -> None:
    code, said = run(tmp_path, {"c/test_c.py": PASSES}, command="interop")
    assert code == 0, said


def test_outside_continuous_integration_a_skip_is_only_a_skip(tmp_path: Path) -> None:
    code, said = run(tmp_path, {"a/test_a.py": SKIPS}, ci="")
    assert code == 0, said


def test_a_failure_stays_a_failure(tmp_path: Path) -> None:
    files = {"a/test_a.py": "def test_it() -> None:\n    assert False\n", "b/test_b.py": PASSES}
    code, said = run(tmp_path, files)
    assert code == 1, said


def test_a_run_without_any_test_fails(tmp_path: Path) -> None:
    code, said = run(tmp_path, {})
    assert code != 0, said
    assert "tests/a: no test of this required group passed" in said
