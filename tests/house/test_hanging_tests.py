"""A test that hangs is ended, named, and does not take the run with it."""

import os
import subprocess
import sys
from pathlib import Path

HANGS = """
import threading

def test_that_never_ends() -> None:
    threading.Event().wait()

def test_beside_it() -> None:
    assert True
"""


def test_a_hanging_test_is_named_in_a_parallel_run(tmp_path: Path) -> None:
    (tmp_path / "test_hang.py").write_text(HANGS)
    environment = {k: v for k, v in os.environ.items() if k != "MESHPACT_TEST_COMMAND"}
    pytest = f"pytest -p no:cacheprovider -n 2 -ra --rootdir {tmp_path}"
    limits = "--timeout 1.5 --timeout-method thread -o faulthandler_timeout=1"
    done = subprocess.run(
        [sys.executable, "-m", *pytest.split(), *limits.split()],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    said = done.stdout + done.stderr
    assert done.returncode == 1, said
    assert "crashed while running 'test_hang.py::test_that_never_ends'" in said
    assert "1 failed, 1 passed" in said
    assert 'test_hang.py", line 5 in test_that_never_ends' in said, "the place where it hangs"
