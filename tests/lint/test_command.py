"""`meshpact lint` as people and pipelines call it: what it prints, and its exit codes."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

import contractfiles
from meshpact.cli import main

SOUND = """\
// Where things are sold.
syntax = "proto3";

package shop.v1;

// What is sold.
message Ware {
  // How many there are.
  int32 count = 1;
}
"""
FAULTY = SOUND.replace("int32 count", "double price")


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def write(text: str, name: str = "protos/shop/v1/shop.proto") -> None:
    contractfiles.write(Path(), {name: text})


def test_sound_contracts_end_with_0(capsys: pytest.CaptureFixture[str]) -> None:
    write(SOUND)
    assert main(["lint"]) == 0
    assert capsys.readouterr().out == "1 contract, nothing found\n"


def test_a_finding_ends_with_1_and_says_where_why_and_what_to_do(
    capsys: pytest.CaptureFixture[str],
) -> None:
    write(FAULTY)
    assert main(["lint"]) == 1
    first, why, do, count = capsys.readouterr().out.splitlines()
    assert first == (
        "protos/shop/v1/shop.proto:9:3: error MP183: shop.v1.Ware.price: "
        "price sounds like money and is a double"
    )
    assert why.startswith("    why: ")
    assert do.startswith("    do: ")
    assert count == "1 error"


def test_contracts_that_do_not_compile_end_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    write(SOUND.replace("int32", "int33"))
    assert main(["lint"]) == 2
    assert "protos/shop/v1/shop.proto:9:3: " in capsys.readouterr().err


def test_a_folder_without_contracts_ends_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    Path("protos").mkdir()
    assert main(["lint"]) == 2
    assert "no .proto file" in capsys.readouterr().err


def test_a_path_that_is_not_there_ends_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    write(SOUND)
    assert main(["lint", "protos/gone.proto"]) == 2
    assert "protos/gone.proto is not there" in capsys.readouterr().err


def test_a_mesh_that_cannot_be_read_ends_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    write(SOUND)
    write("trust_domain: [", "mesh.yaml")
    assert main(["lint", "--mesh", "mesh.yaml"]) == 2
    assert "mesh.yaml" in capsys.readouterr().err


def test_paths_choose_what_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    write(FAULTY)
    write(SOUND.replace("shop.v1", "till.v1"), "protos/till/v1/till.proto")
    assert main(["lint", "protos/till"]) == 0
    assert main(["lint", "protos/shop/v1/shop.proto"]) == 1


def test_a_folder_outside_of_protos_is_linted_as_a_root(
    capsys: pytest.CaptureFixture[str],
) -> None:
    write(FAULTY, "other/shop/v1/shop.proto")
    assert main(["lint", "other"]) == 1
    assert "other/shop/v1/shop.proto:9:3: " in capsys.readouterr().out


@pytest.mark.parametrize("path", ["other/shop/v1/shop.proto", "protos/README.md", "mesh.yaml"])
def test_a_path_that_is_no_contract_that_is_linted_ends_with_2(
    path: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write(SOUND)
    write(FAULTY, "other/shop/v1/shop.proto")
    for name in ("protos/README.md", "mesh.yaml"):
        Path(name).write_text("")
    assert main(["lint", "protos/shop", path]) == 2
    assert capsys.readouterr().err == (
        f"meshpact: {path} is none of the contracts below protos, and holds none: give its folder "
        "with --protos\n"
    )


def test_only_contracts_that_were_asked_for_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    write(SOUND)
    write(SOUND.replace("shop.v1", "till.v1"), "protos/till/v1/till.proto")
    assert main(["lint", "protos/till"]) == 0
    assert capsys.readouterr().out == "1 contract, nothing found\n"


def test_includes_are_read_and_not_linted() -> None:
    write(FAULTY, "others/shop/v1/shop.proto")
    write(
        SOUND.replace(
            "package shop.v1;", 'package till.v1;\n\nimport "shop/v1/shop.proto";'
        ).replace("int32 count", "shop.v1.Ware ware"),
        "protos/till/v1/till.proto",
    )
    assert main(["lint", "--include", "others"]) == 0


@pytest.mark.parametrize("form", ["json", "sarif"])
def test_forms_for_machines_are_json_even_when_nothing_is_found(
    form: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write(SOUND)
    assert main(["lint", "--format", form]) == 0
    assert json.loads(capsys.readouterr().out)


def test_annotations_of_nothing_are_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    write(SOUND)
    assert main(["lint", "--format", "github"]) == 0
    assert capsys.readouterr().out == ""


def test_edits_are_shown_beside_a_report_for_machines(
    capsys: pytest.CaptureFixture[str],
) -> None:
    write(SOUND.replace("  //", "  // meshpact:lint-ignore MP183 because it is heat\n  //"))
    assert main(["lint", "--fix", "--format", "json"]) == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out)["findings"] == []
    assert "mended MP003" in printed.err
    assert Path("protos/shop/v1/shop.proto").read_text() == SOUND


def test_the_rules_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lint", "--rules"]) == 0
    listed = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in listed] == sorted(line.split()[0] for line in listed)
    assert any(line.startswith("MP141  list-paged ") for line in listed)


def test_the_working_tree_stays_as_it_was() -> None:
    write(FAULTY)
    for argument in (["init", "-q"], ["add", "."]):
        subprocess.run(["git", *argument], check=True)
    assert main(["lint"]) == 1
    status = subprocess.run(
        ["git", "status", "--porcelain"], check=True, capture_output=True, text=True
    )
    assert status.stdout == "A  protos/shop/v1/shop.proto\n"


def test_a_missing_part_of_a_policy_names_the_option_that_it_goes_into(
    capsys: pytest.CaptureFixture[str],
) -> None:
    policy = 'access: {roles: "shop.reader"} deadline: {default: {seconds: 1} max: {seconds: 5}}'
    option = f"option (meshpact.policy.v1.service) = {{{policy}}};"
    rpc = "rpc GetWare(Ware) returns (Ware);"
    write(f'{SOUND}import "meshpact/policy/v1/policy.proto";\nservice Shop {{ {option} {rpc} }}\n')
    assert main(["lint"]) == 1
    (do,) = [line for line in capsys.readouterr().out.splitlines() if "add audit" in line]
    assert "it goes into option (meshpact.policy.v1.method) = { ... } of the method" in do
