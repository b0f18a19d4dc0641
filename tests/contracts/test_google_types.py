"""The types of Google's that contracts share: imported without vendoring, and loaded.

That they are typed, too, is looked at with all other generated code, in test_roundtrip.py.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import contractfiles
import googlecontract
from meshpact.contracts.faults import ContractsError
from meshpact.contracts.generate import generate


def test_each_that_is_installed_loads(tmp_path: Path) -> None:
    assert len(googlecontract.installed()) > 50
    generate([googlecontract.write(tmp_path / "protos")], tmp_path / "generated")
    (tmp_path / "generated" / "use.py").write_text(googlecontract.USE)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", "import use"],
        cwd=tmp_path / "generated",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-5000:]


def test_the_name_that_its_package_gives_to_longrunning_is_refused(tmp_path: Path) -> None:
    text = 'syntax = "proto3";\nimport "google/longrunning/operations_proto.proto";\n'
    contractfiles.write(tmp_path, {"a.proto": text})
    with pytest.raises(ContractsError) as caught:
        generate([tmp_path], tmp_path / "out")
    (fault,) = caught.value.faults
    assert (fault.place.line, fault.remedy) == (
        2,
        'import "google/longrunning/operations.proto" in its place',
    )
