"""A test that hangs is ended, named, run once, and does not take the run with it."""

import os
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).parents[1]
BESIDE = """
def test_beside_it() -> None:
    assert True
"""
HANGS = f"""
import threading

def test_that_never_ends() -> None:
    threading.Event().wait()
{BESIDE}
def test_that_never_ends_either() -> None:
    threading.Event().wait()
"""
"""One after the other: two that hang at once would write over each other's places."""


def test_a_hanging_test_is_named_in_a_parallel_run(tmp_path: Path) -> None:
    (tmp_path / "test_hang.py").write_text(HANGS)
    (tmp_path / "test_else.py").write_text(BESIDE)
    environment = {k: v for k, v in os.environ.items() if k != "MESHPACT_TEST_COMMAND"}
    environment["PYTHONPATH"] = str(TESTS)
    # As `make test` shares the work: by files.
    pytest = f"pytest -p no:cacheprovider -p hungtests -n 2 --dist loadfile --rootdir {tmp_path}"
    limits = "--timeout 3 --timeout-method thread -o faulthandler_timeout=2"
    done = subprocess.run(
        [sys.executable, "-m", *pytest.split(), *limits.split()],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    said = done.stdout + done.stderr
    assert done.returncode == 1, said
    assert "2 failed, 2 passed" in said
    for line, name in ((5, "test_that_never_ends"), (11, "test_that_never_ends_either")):
        assert f"crashed while running 'test_hang.py::{name}'" in said
        assert f'test_hang.py", line {line} in {name}\n' in said, "the place where it hangs"
