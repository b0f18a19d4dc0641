"""What ends a run half-way: kills, full disks, other runs. Nothing is lost by it."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

import contractfiles
from contractfiles import ERRORS, service
from meshpact.cli import main
from meshpact.contracts.docs import publish
from meshpact.contracts.faults import WrongUse
from meshpact.contracts.generate import generate
from meshpact.contracts.image import refuse_killed
from meshpact.contracts.writing import alone, write

OLD: Final = {f"a/{number}.py": f"old {number}\n".encode() for number in range(3)}
NEW: Final = {f"a/{number}.py": f"new {number}\n".encode() for number in range(1, 5)}

KILLED: Final = """
import os, shutil, signal, sys
from pathlib import Path
from meshpact.contracts.writing import write

out, old, new = Path(sys.argv[1]), eval(sys.argv[2]), eval(sys.argv[3])

def attempt(limit):
    seen = 0
    def hook(event, arguments):
        nonlocal seen
        if event.startswith(("os.", "open", "shutil.", "tempfile.")):
            seen += 1
            if seen == limit:
                os.kill(os.getpid(), signal.SIGKILL)
    sys.addaudithook(hook)
    write(out, new, ["a/0.py"])
    os._exit(0)

for limit in range(1, 1000):
    shutil.rmtree(out, ignore_errors=True)
    write(out, old, ())
    child = os.fork()
    if not child:
        attempt(limit)
    _, status = os.waitpid(child, 0)
    for path in (out / "a").iterdir():
        name = f"a/{path.name}"
        assert path.read_bytes() in (old.get(name), new.get(name)), (limit, path)
    write(out, new, ["a/0.py"])
    left = {str(p.relative_to(out)): p.read_bytes() for p in out.rglob("*") if p.is_file()}
    assert left == new and len(list(out.iterdir())) == 1, (limit, left, list(out.iterdir()))
    if os.WIFEXITED(status):
        assert os.WEXITSTATUS(status) == 0
        print(limit)
        break
"""
"""Kills a run at each thing that it does to the disk, and lets the next one go over it."""


def test_a_run_killed_at_any_write_leaves_whole_files_and_the_next_mends_the_rest(
    tmp_path: Path,
) -> None:
    command = [sys.executable, "-c", KILLED, str(tmp_path / "out"), repr(OLD), repr(NEW)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 20


PUBLISHED: Final = """
import os, signal, sys
from pathlib import Path
from meshpact.contracts.docs import publish

renamed = 0
def hook(event, arguments):
    global renamed
    renamed += event == "os.rename"
    if event == "os.rename" and renamed == 4:
        os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(hook)
publish([Path("protos")], Path("site"))
"""


def test_pages_of_a_run_that_was_killed_are_known_to_be_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    contractfiles.contract(Path("protos"), ERRORS + service())
    done = subprocess.run([sys.executable, "-c", PUBLISHED], check=False)
    assert done.returncode == -signal.SIGKILL
    assert len(list(Path("site").rglob("*.*"))) > 2
    contractfiles.contract(Path("protos"), ERRORS + "// All of it.\n" + service())
    publish([Path("protos")], Path("site"))
    publish([Path("protos")], Path("whole"))
    assert _files(Path("site")) == _files(Path("whole"))


def test_a_disk_that_refuses_changes_nothing(tmp_path: Path) -> None:
    out = tmp_path / "deep" / "out"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    for there in ({}, OLD):
        if there:
            write(out, there, ())
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
        try:
            with pytest.raises(WrongUse, match="too large; nothing was changed"):
                write(out, {**NEW, "big.py": b"x" * 200}, ["a/0.py"])
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert _files(tmp_path) == {f"deep/out/{name}": data for name, data in there.items()}
    assert [path.name for path in out.iterdir()] == ["a"]


def test_a_folder_that_cannot_be_made_is_wrong_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    contractfiles.contract(Path("protos"), ERRORS + service())
    for command in ("generate", "docs"):
        assert main([command, "--out", "/proc/nowhere"]) == 2
        assert "/proc/nowhere cannot be written: " in capsys.readouterr().err


def test_a_run_waits_for_another_that_writes_to_the_same_folder(tmp_path: Path) -> None:
    contractfiles.contract(tmp_path / "protos", ERRORS + service())
    with alone(tmp_path / "generated"):
        process = subprocess.Popen(
            [sys.executable, "-m", "meshpact.cli", "generate"],
            cwd=tmp_path,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stderr is not None
        assert process.stderr.readline() == "another run writes to generated: waiting for it\n"
        assert not (tmp_path / "generated").exists()
        contractfiles.contract(tmp_path / "protos", ERRORS + "// Changed.\n" + service())
    with process:
        assert process.stderr.read() == ""
    assert process.returncode == 0
    assert "Changed." in (tmp_path / "generated/shop/v1/shop_mesh.py").read_text()


def test_a_file_that_nobody_generated_is_not_written_over(tmp_path: Path) -> None:
    contractfiles.contract(tmp_path / "protos", ERRORS + service())
    out = tmp_path / "out"
    mine = out / "shop/v1/shop_mesh.py"
    contractfiles.write(out, {"shop/v1/shop_mesh.py": "# My own.\n", "shop/v1/shop_pb2.py": ""})
    before = _files(out)
    with pytest.raises(WrongUse, match=r"shop_mesh\.py is there and was not generated"):
        generate([tmp_path / "protos"], out)
    assert _files(out) == before
    assert generate([tmp_path / "protos"], out, check_only=True).stale
    mine.write_text("# -*- coding: utf-8 -*-\n# Generated by the protocol buffer compiler.\n")
    (out / "shop/v1/py.typed").write_text("partial\n")
    generate([tmp_path / "protos"], out)
    assert "class ShopBase" in mine.read_text()
    assert (out / "shop/v1/py.typed").read_text() == "partial\n"
    assert not generate([tmp_path / "protos"], out, check_only=True).stale


VANISHED: Final = """
import os, sys
from meshpact.cli import main

def hook(event, arguments):
    if event == "subprocess.Popen" and os.path.exists("protos/shop/v1/shop.proto"):
        os.unlink("protos/shop/v1/shop.proto")
sys.addaudithook(hook)
sys.exit(main(["generate"]))
"""


def test_a_contract_that_vanishes_during_a_run_is_named(tmp_path: Path) -> None:
    contractfiles.contract(tmp_path / "protos", ERRORS + service())
    done = subprocess.run(
        [sys.executable, "-c", VANISHED], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2, done.stderr
    assert "shop/v1/shop.proto" in done.stderr
    assert "Traceback" not in done.stderr
    assert "should not have happened" not in done.stderr


def test_a_program_that_was_killed_is_told_as_such() -> None:
    with pytest.raises(WrongUse, match="buf was ended by SIGKILL: see that there is memory"):
        refuse_killed("buf", -signal.SIGKILL)
    refuse_killed("buf", os.EX_OK)


def _files(top: Path) -> dict[str, bytes]:
    return {str(p.relative_to(top)): p.read_bytes() for p in top.rglob("*") if p.is_file()}
