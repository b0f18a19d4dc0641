"""The rules of consistency on contracts of others that keep to the AIPs: few false alarms."""

from __future__ import annotations

from pathlib import Path
from shutil import copyfile

import google.rpc.status_pb2

from meshpact.contracts.lint import Options, lint

CONSISTENCY = {
    *("MP134", "MP142", "MP143", "MP144", "MP153"),
    *("MP182", "MP183", "MP184", "MP185", "MP191", "MP192", "MP193"),
}


def test_the_shared_types_of_googleapis_pass_but_for_what_departs(tmp_path: Path) -> None:
    installed = Path(google.rpc.status_pb2.__file__).parents[2]
    paths = [path.relative_to(installed) for path in (installed / "google").rglob("*.proto")]
    taken = [path for path in paths if path.parts[1] not in ("protobuf", "longrunning")]
    assert len(taken) > 50
    for path in taken:
        copied = tmp_path / path
        copied.parent.mkdir(parents=True, exist_ok=True)
        copyfile(installed / path, copied)
    findings = lint(Options([tmp_path])).report.findings
    assert {(each.rule, each.subject) for each in findings if each.rule in CONSISTENCY} == {
        ("MP191", "google.api.ResourceDescriptor.pattern"),
        ("MP191", "google.api.ResourceDescriptor.style"),
    }
