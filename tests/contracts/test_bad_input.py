"""What nobody should hand in: lint, generate and review refuse it alike, and touch nothing."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

import contractfiles
from contractfiles import WHOLE
from meshpact.cli import main
from meshpact.contracts.roots import MAX_SOURCE, sources

SOUND: Final = 'syntax = "proto3";\npackage shop.v1;\nmessage Ware {}\n'
OTHER: Final = 'syntax = "proto3";\npackage other.v1;\nmessage Thing {}\n'
COMMANDS: Final = ("lint", "generate", "review")

Run = Callable[..., tuple[int, str]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command on ./protos, in a repository that holds a sound contract; code and errors."""
    top = contractfiles.write(tmp_path / "top", {"protos/shop/v1/shop.proto": SOUND})
    monkeypatch.chdir(top)
    for arguments in (
        ("init", "-q"),
        ("add", "-A"),
        ("-c", "user.name=A", "-c", "user.email=a@shop.example", "commit", "-q", "-m", "Begin"),
    ):
        subprocess.run(["git", *arguments], check=True, capture_output=True)

    def run(command: str, *more: str) -> tuple[int, str]:
        before = _state(top)
        code = main([command, *(("--against", "HEAD") if command == "review" else ()), *more])
        shown = capsys.readouterr().err
        assert "Traceback" not in shown
        assert "should not have happened" not in shown
        if code:
            assert _state(top) == before
        return code, shown

    return run


def _state(top: Path) -> dict[str, tuple[int, bytes]]:
    return {
        str(path.relative_to(top)): (path.stat().st_mtime_ns, path.read_bytes())
        for path in top.rglob("*")
        if path.is_file() and ".git" not in path.parts and path.stat().st_size <= MAX_SOURCE
    }


def link(name: str, target: str | Path) -> None:
    path = Path("protos", name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(target)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_link_out_of_the_tree_is_refused_with_where_it_leads(
    run: Run, tmp_path: Path, command: str
) -> None:
    outside = contractfiles.write(tmp_path, {"elsewhere/thing.proto": OTHER}) / "elsewhere"
    link("other/v1/thing.proto", outside / "thing.proto")
    code, said = run(command)
    assert code == 2
    assert f"protos/other/v1/thing.proto is a link to {outside}/thing.proto, outside" in said
    assert "put the file itself there" in said


@pytest.mark.parametrize("command", COMMANDS)
def test_a_link_to_a_folder_that_is_given_too_is_followed(
    run: Run, tmp_path: Path, command: str
) -> None:
    outside = contractfiles.write(tmp_path, {"elsewhere/thing.proto": OTHER}) / "elsewhere"
    link("other/v1/thing.proto", outside / "thing.proto")
    code, said = run(command, "--protos", "protos", "--include", str(outside))
    assert code != 2, said


@pytest.mark.parametrize("command", COMMANDS)
def test_a_link_that_stays_in_the_tree_is_followed(run: Run, command: str) -> None:
    contractfiles.write(Path("protos"), {"kept/thing.txt": OTHER})
    link("other/v1/thing.proto", "../../kept/thing.txt")
    assert run(command)[0] != 2
    Path("protos/kept/thing.txt").write_text("message")
    assert run(command)[0] != 0


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("target", ["gone.proto", "loop.proto"])
def test_a_link_to_nothing_is_refused(run: Run, command: str, target: str) -> None:
    link("loop.proto", target)
    code, said = run(command)
    assert code == 2
    assert f"protos/loop.proto is a link to {target}, which is not there" in said


@pytest.mark.parametrize("command", COMMANDS)
def test_an_import_through_a_linked_folder_that_leads_out_is_refused(
    run: Run, tmp_path: Path, command: str
) -> None:
    contractfiles.write(tmp_path, {"elsewhere/thing.proto": OTHER})
    link(".linked", tmp_path / "elsewhere")
    assert run(command)[0] != 2  # nobody reads what is hidden
    text = SOUND.replace("message", 'import ".linked/thing.proto";\nmessage')
    contractfiles.write(Path("protos"), {"shop/v1/shop.proto": text})
    code, said = run(command)
    assert code == 2
    assert f"the import protos/.linked/thing.proto is a link to {tmp_path}/elsewhere/" in said


@pytest.mark.parametrize("command", [*COMMANDS, "docs"])
def test_a_link_to_a_folder_out_of_the_tree_is_refused(
    run: Run, tmp_path: Path, command: str
) -> None:
    contractfiles.write(tmp_path, {"elsewhere/thing.proto": OTHER})
    link("linked", tmp_path / "elsewhere")
    code, said = run(command)
    assert code == 2
    assert f"protos/linked is a link to {tmp_path}/elsewhere, outside of your contracts" in said


@pytest.mark.parametrize("command", [*COMMANDS, "docs"])
def test_what_only_a_link_to_a_folder_leads_to_is_read(run: Run, command: str) -> None:
    contractfiles.write(Path("protos"), {".kept/deep/thing.proto": OTHER})
    link("linked", ".kept")
    assert run(command)[0] != 2
    Path("protos/.kept/deep/thing.proto").write_text("message")
    code, said = run(command)
    assert (code, "protos/linked/deep/thing.proto:1:" in said) == (2, True), said


def test_no_folder_is_read_twice_however_links_lead_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    contractfiles.write(
        Path("protos"), {"shop/v1/shop.proto": SOUND, ".kept/b/c.proto": OTHER, "top.proto": ""}
    )
    for name, target in (
        ("again", "shop"),
        ("shop/v1/up", "../.."),
        ("one", ".kept"),
        ("two", ".kept"),
        (".kept/b/loop", ".."),
        ("three", "../protos"),
        ("four", "../protos/.kept/b"),
    ):
        link(name, target)
    assert {name: str(path) for name, path in sources([Path("protos")]).items()} == {
        "four/c.proto": "protos/four/c.proto",
        "shop/v1/shop.proto": "protos/shop/v1/shop.proto",
        "top.proto": "protos/top.proto",
    }


@pytest.mark.parametrize("command", COMMANDS)
def test_a_link_that_may_have_led_to_a_folder_is_refused(run: Run, command: str) -> None:
    link("vendor", "../gone")
    code, said = run(command)
    assert (code, "protos/vendor is a link to ../gone, which is not there" in said) == (2, True)


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    "name", ["@args.proto", "@protos/args.proto", "-Ishop.proto", "a\n@b.proto", "\udcff.proto"]
)
def test_a_name_that_is_an_option_to_protoc_is_refused(run: Run, command: str, name: str) -> None:
    program = Path("program")
    program.write_text(f"#!/bin/sh\ntouch {program.absolute()}.ran\n")
    program.chmod(0o700)
    for folder in (Path(), Path("protos")):
        (folder / "args.proto").write_text("--plugin=protoc-gen-x=./program\n--x_out=.\n")
    contractfiles.write(Path("protos"), {name: SOUND})
    code, said = run(command)
    assert (code, "is no name for a contract" in said) == (2, True), said
    assert not Path("program.ran").exists()


@pytest.mark.parametrize("command", COMMANDS)
def test_no_module_of_the_folder_is_loaded(run: Run, command: str) -> None:
    for name in ("grpc_tools", "mypy_protobuf", "pkg_resources", "google", "argparse"):
        Path(f"{name}.py").write_text(f"open('{name}.ran', 'w')\nraise SystemExit(7)\n")
    Path("protos/shop/v1/shop.proto").write_text(SOUND + "message Other {}\n")
    assert run(command)[0] != 2
    assert not list(Path().glob("*.ran"))


def test_a_folder_with_a_colon_is_refused(run: Run) -> None:
    contractfiles.write(Path("a:b"), {"shop/v1/shop.proto": SOUND})
    for more in (("--protos", "a:b"), ("--include", "a:b")):
        code, said = run("lint", *more)
        assert (code, "'a:b' is no folder that protoc can take" in said) == (2, True)


@pytest.mark.parametrize("command", COMMANDS)
def test_the_lock_files_of_editors_are_no_contracts(run: Run, command: str) -> None:
    link("shop/v1/.#shop.proto", "anna@desk.4711:1")
    assert run(command)[0] != 2


@pytest.mark.parametrize("command", COMMANDS)
def test_what_is_no_file_is_refused_unread(run: Run, command: str) -> None:
    os.mkfifo("protos/pipe.proto")
    code, said = run(command)
    assert (code, "protos/pipe.proto is no file" in said) == (2, True)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_contract_that_nobody_wrote_by_hand_is_refused_unread(run: Run, command: str) -> None:
    with Path("protos/huge.proto").open("wb") as file:
        file.truncate(100 * 2**20)
    code, said = run(command)
    assert (code, "protos/huge.proto has 104,857,600 bytes" in said) == (2, True)


POLICIES: Final = """
service S {{
  option (meshpact.policy.v1.service) = {{{0}}};{1}
  rpc Get(Ware) returns (Ware);
}}
"""
TWICE: Final = "\n  option (meshpact.policy.v1.service) = {audit: {level: AUDIT_LEVEL_ALL}};"
WITH_POLICY: Final = SOUND + 'import "meshpact/policy/v1/policy.proto";\n'
DEEP: Final = 200
NESTED: Final = "message M { " * DEEP + "}" * DEEP

BROKEN: Final = {
    "unparsable": ({"bad.proto": "service Broken {"}, "bad.proto:1:"),
    "binary": ({"bad.proto": "\x00\x01\x02\udcff"}, "bad.proto"),
    "a comment that is not UTF-8": (
        {"bad.proto": SOUND + "// caf\udce9\n"},
        "bad.proto:4:7: the byte 0xe9 is not UTF-8",
    ),
    "imports itself": ({"bad.proto": 'syntax = "proto3";\nimport "bad.proto";\n'}, "imports"),
    "imports in a circle": (
        {
            "one.proto": 'syntax = "proto3";\nimport "two.proto";\n',
            "two.proto": 'syntax = "proto3";\nimport "one.proto";\n',
        },
        "one.proto -> two.proto -> one.proto",
    ),
    "one symbol in two files": ({"bad.proto": SOUND}, "already defined"),
    "an option twice": (
        {"shop/v1/shop.proto": WITH_POLICY + POLICIES.format(WHOLE, TWICE)},
        "already",
    ),
    "a policy of a newer version": (
        {"shop/v1/shop.proto": WITH_POLICY + POLICIES.format(WHOLE + "colour: 7", "")},
        "colour",
    ),
    "nested without end": ({"bad.proto": f'syntax = "proto3";\n{NESTED}\n'}, "bad.proto"),
}


@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.parametrize("command", COMMANDS)
def test_contracts_that_do_not_compile_are_refused_with_the_place(
    run: Run, command: str, name: str
) -> None:
    files, said = BROKEN[name]
    for path, text in files.items():
        contractfiles.write(Path("protos"), {path: ""})
        Path("protos", path).write_bytes(os.fsencode(text))
    code, shown = run(command)
    assert code == 2
    assert said in shown
    assert not Path("generated").exists()


@pytest.mark.parametrize("command", COMMANDS)
def test_two_files_of_one_path_are_refused(run: Run, command: str) -> None:
    contractfiles.write(Path("more"), {"shop/v1/shop.proto": SOUND})
    code, said = run(command, "--protos", "protos", "--protos", "more")
    assert code == 2
    assert "stands in two roots" in said or "no .proto file below more" in said
