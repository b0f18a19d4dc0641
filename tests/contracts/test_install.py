"""Contracts compile and generate where only the wheel of Meshpact is installed."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]

_GENERATE = """
import sys
site, dependencies, protos, out = sys.argv[1:]
sys.path[:0] = [site, dependencies]
from pathlib import Path
from meshpact.contracts import thirdparty
from meshpact.contracts.generate import generate
assert thirdparty.__file__.startswith(site), thirdparty.__file__
assert Path(site) in thirdparty.include_paths(), thirdparty.include_paths()
print(len(generate([Path(protos)], Path(out)).written))
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this tree, unpacked as an installation would."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=REPOSITORY,
        env={**os.environ, "SOURCE_DATE_EPOCH": "1700000000"},
        capture_output=True,
        check=True,
    )
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def test_an_installed_wheel_generates_the_same_bytes(
    site: Path, golden: Path, golden_protos: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    arguments = [str(site), sysconfig.get_path("purelib"), str(golden_protos), str(out)]
    # -S: no path file is read, so nothing of the editable install is found.
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", _GENERATE, *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    expected = {p.relative_to(golden): p.read_bytes() for p in golden.rglob("*.py")}
    assert {p.relative_to(out): p.read_bytes() for p in out.rglob("*.py")} == expected
