"""The script that sees whether generated code is fresh: all folders it is given, and its ends."""

from __future__ import annotations

import subprocess
from pathlib import Path

import contractfiles
from ci_templates.runner import CI, environment

THING = 'syntax = "proto3";\npackage {0}.v1;\n{1}\nmessage Thing {{ {2} }}\n'
FOLDERS = {"MESHPACT_PROTOS": "some\n\nmore folders\n", "MESHPACT_INCLUDE": "lib\n"}


def fresh(top: Path) -> tuple[int, str]:
    done = subprocess.run(
        ["sh", str(CI / "generate.sh")],
        cwd=top,
        env=environment(top, MESHPACT_OUT="out", **FOLDERS),
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def test_code_of_all_folders_is_seen(tmp_path: Path) -> None:
    uses = 'import "lib/v1/lib.proto";'
    files = {
        "some/one/v1/one.proto": THING.format("one", uses, "lib.v1.Thing lib = 1;"),
        "more folders/two/v1/two.proto": THING.format("two", "", ""),
        "lib/lib/v1/lib.proto": THING.format("lib", "", ""),
    }
    contractfiles.write(tmp_path, files)
    folders = ["--protos=some", "--protos=more folders", "--include=lib", "--out=out"]
    subprocess.run(
        ["meshpact", "generate", *folders], cwd=tmp_path, env=environment(tmp_path), check=True
    )
    assert fresh(tmp_path) == (0, "out: 6 files are up to date\n")
    changed = tmp_path / "more folders/two/v1/two.proto"
    changed.write_text(THING.format("two", "", "int32 count = 1;"))
    code, said = fresh(tmp_path)
    assert (code, "out/two/v1/two_pb2.py is out of date" in said) == (1, True), said
    changed.write_text("message")
    code, said = fresh(tmp_path)
    assert (code, "more folders/two/v1/two.proto:1:8: " in said) == (2, True), said
