"""The runner of claims: one JSON object last, the rest to stderr, honest exit codes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from claims import CLAIMS, Claim

RUNNER = Path(__file__).parents[2] / "benchmarks" / "evidence.py"

MEASURES = """
import os, sys
from claims import Measurement
def measure(quick):
    print("progress on stdout")
    os.system("echo from a child process")
    return Measurement({value}, {{"sample": "small" if quick else "whole"}})
"""
CANNOT = """
from claims import NotMeasured
def measure(quick):
    raise NotMeasured("no network here; plug it in")
"""
BREAKS = "def measure(quick):\n    raise RuntimeError('boom')\n"


def run(folder: Path, module: str, *args: str) -> subprocess.CompletedProcess[str]:
    """Runs a copy of the runner over a copy of the claims in which `oracle` is `module`."""
    (folder / "claims").mkdir()
    (folder / "claims" / "__init__.py").write_bytes(
        (RUNNER.parent / "claims" / "__init__.py").read_bytes()
    )
    (folder / "claims" / "oracle.py").write_text(module)
    copy = folder / "evidence.py"
    copy.write_bytes(RUNNER.read_bytes())
    return subprocess.run(
        [sys.executable, str(copy), *args],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        check=False,
    )


@pytest.mark.parametrize(("value", "met"), [(0, True), (3, False)])
def test_a_measured_claim_is_one_object_on_stdout_and_ends_with_0_met_or_not(
    tmp_path: Path, value: int, met: bool
) -> None:
    done = run(tmp_path, MEASURES.format(value=value), "oracle", "--quick")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "claim": "oracle",
        "value": value,
        "unit": "count",
        "goal": {"op": "==", "value": 0},
        "met": met,
        "detail": {"sample": "small"},
    }
    assert "progress on stdout" in done.stderr
    assert "from a child process" in done.stderr


@pytest.mark.parametrize(
    ("module", "said"),
    [
        (CANNOT, "oracle: not measured: no network here; plug it in"),
        (BREAKS, "RuntimeError: boom"),
        (MEASURES.format(value="float('nan')"), "the run gave nan, which is no measurement"),
    ],
    ids=["it says so", "it breaks", "not a number"],
)
def test_a_claim_that_could_not_be_measured_ends_with_3_and_prints_no_object(
    tmp_path: Path, module: str, said: str
) -> None:
    done = run(tmp_path, module, "oracle")
    assert done.returncode == 3
    assert done.stdout == ""
    assert said in done.stderr


def test_a_name_that_is_no_claim_ends_with_2_and_lists_the_claims(tmp_path: Path) -> None:
    done = run(tmp_path, BREAKS, "speling")
    assert done.returncode == 2
    assert done.stdout == ""
    assert "speling is no claim. The claims are: mesh, hygiene" in done.stderr


@pytest.mark.parametrize(
    ("op", "value", "met"),
    [("<=", 1.28, True), ("<=", 1.281, False), (">=", 1.28, True), (">=", 1.2, False)],
)
def test_a_goal_holds_at_its_own_value(op: str, value: float, met: bool) -> None:
    assert Claim("x", "says", "ratio", op, 1.28).met(value) is met


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.name)
def test_every_claim_has_a_module_that_measures_it(claim: Claim) -> None:
    module = RUNNER.parent / f"{claim.module.replace('.', '/')}.py"
    assert "def measure(quick: bool) -> Measurement:" in module.read_text()
