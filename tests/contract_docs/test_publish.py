"""What `meshpact docs` writes, keeps, removes and refuses."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

import contractfiles
from contract_docs.publishing import REFERENCE, published, shop, tree
from meshpact.cli import main
from meshpact.contracts.docs import Form, publish
from meshpact.contracts.docs.publish import RECORD
from meshpact.contracts.faults import ContractsError, WrongUse

ONE = "// A thing.\nmessage Thing { string name = 1; }\n"


@pytest.mark.parametrize("form", list(Form))
def test_the_same_contracts_give_the_same_bytes(form: Form, tmp_path: Path) -> None:
    published(REFERENCE, tmp_path / "one", form)
    published(REFERENCE, tmp_path / "two", form)
    assert tree(tmp_path / "one") == tree(tmp_path / "two")


@pytest.mark.parametrize("form", list(Form))
def test_a_second_run_writes_nothing(form: Form, tmp_path: Path) -> None:
    first = published(REFERENCE, tmp_path / "out", form)
    times = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*")}
    second = published(REFERENCE, tmp_path / "out", form)
    assert first.written
    assert (second.written, second.removed) == ((), ())
    assert second.unchanged == len(first.written)
    assert times == {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*")}


def test_pages_of_what_is_gone_are_removed_and_other_files_stay(tmp_path: Path) -> None:
    protos, out = shop(tmp_path / "protos", ONE), tmp_path / "out"
    extra = contractfiles.write(
        protos, {"old/v1/old.proto": 'syntax = "proto3"; package old.v1; message Old {}'}
    )
    published(protos, out)
    (out / "packages" / "mine.html").write_text("mine", encoding="utf-8")
    (extra / "old/v1/old.proto").unlink()
    done = published(protos, out)
    assert done.removed == ("packages/old.v1.html",)
    assert not (out / "packages" / "old.v1.html").exists()
    assert (out / "packages" / "mine.html").read_text(encoding="utf-8") == "mine"


def test_a_page_that_somebody_changed_is_not_removed(tmp_path: Path) -> None:
    protos, out = shop(tmp_path / "protos", ONE), tmp_path / "out"
    contractfiles.write(
        protos, {"old/v1/old.proto": 'syntax = "proto3"; package old.v1; message Old {}'}
    )
    published(protos, out)
    (out / "packages" / "old.v1.html").write_text("changed", encoding="utf-8")
    (protos / "old/v1/old.proto").unlink()
    assert published(protos, out).removed == ()
    assert (out / "packages" / "old.v1.html").read_text(encoding="utf-8") == "changed"


def test_the_forms_share_a_folder_without_removing_each_other(tmp_path: Path) -> None:
    for form in Form:
        assert published(REFERENCE, tmp_path / "out", form).removed == ()
    assert published(REFERENCE, tmp_path / "out", Form.HTML).written == ()


def test_a_file_that_is_not_ours_is_not_written_over(tmp_path: Path) -> None:
    out = contractfiles.write(tmp_path / "out", {"index.html": "mine"})
    with pytest.raises(WrongUse, match=r"index\.html is there and was not written by"):
        published(shop(tmp_path / "protos", ONE), out)
    assert tree(out) == {"index.html": b"mine"}


def test_a_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("", encoding="utf-8")
    with pytest.raises(WrongUse, match="is a file: give a folder"):
        published(shop(tmp_path / "protos", ONE), tmp_path / "out")


@pytest.mark.parametrize(
    ("record", "says"),
    [("{", "is broken"), ('{"html": {"../x": "0"}}', "outside of the folder")],
)
def test_a_broken_record_is_refused_and_nothing_is_touched(
    record: str, says: str, tmp_path: Path
) -> None:
    out = contractfiles.write(tmp_path / "out", {RECORD: record})
    with pytest.raises(WrongUse, match=says):
        published(shop(tmp_path / "protos", ONE), out)
    assert tree(out) == {RECORD: record.encode()}


def test_a_link_in_the_place_of_a_page_is_replaced_and_its_target_left_alone(
    tmp_path: Path,
) -> None:
    protos, out = shop(tmp_path / "protos", ONE), tmp_path / "out"
    published(protos, out)
    other = tmp_path / "other"
    other.write_text("other", encoding="utf-8")
    (out / "index.html").unlink()
    (out / "index.html").symlink_to(other)
    published(protos, out)
    assert other.read_text(encoding="utf-8") == "other"
    assert not (out / "index.html").is_symlink()


def test_contracts_that_do_not_compile_write_nothing(tmp_path: Path) -> None:
    with pytest.raises(ContractsError, match=r"shop\.proto:\d+:\d+"):
        published(shop(tmp_path / "protos", "message {"), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_method_without_a_policy_is_published_as_one(tmp_path: Path) -> None:
    body = "message A {}\nservice Bare { rpc Do(A) returns (A); }"
    published(shop(tmp_path / "protos", body), tmp_path / "out")
    page = (tmp_path / "out" / "services" / "shop.v1.Bare.html").read_text(encoding="utf-8")
    assert "Incomplete, no server starts with it" in page


def test_what_is_imported_and_used_has_a_page_too(tmp_path: Path) -> None:
    contractfiles.write(
        tmp_path / "include",
        {
            "other/v1/other.proto": 'syntax = "proto3"; package other.v1;\n'
            "// Used elsewhere.\nmessage Used {}\nmessage Unused {}\n"
        },
    )
    protos = contractfiles.write(
        tmp_path / "protos",
        {
            "a.proto": 'syntax = "proto3"; import "other/v1/other.proto";\n'
            "message Top { other.v1.Used used = 1; }"
        },
    )
    published(protos, tmp_path / "out", includes=[tmp_path / "include"])
    page = (tmp_path / "out" / "packages" / "other.v1.html").read_text(encoding="utf-8")
    assert "Used elsewhere." in page
    assert "Unused" not in page
    assert (tmp_path / "out" / "packages" / "_.html").exists()


def test_the_command_tells_what_it_did_as_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    protos = shop(tmp_path / "protos", ONE)
    words = ["docs", "--protos", str(protos), "--out", str(tmp_path / "out"), "--json"]
    assert main(words) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["format"] == "html"
    assert "index.html" in told["written"]
    assert told["coverage"]["percent"] == 50.0


def test_the_command_ends_with_2_for_a_folder_that_is_not_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["docs", "--protos", str(tmp_path / "none")]) == 2
    assert "is not a folder" in capsys.readouterr().err


def test_a_mesh_names_who_may_call(tmp_path: Path) -> None:
    out = tmp_path / "out"
    published(REFERENCE, out, mesh=REFERENCE.parent / "mesh.yaml")
    page = (out / "services" / "acme.retail.inventory.v1.InventoryService.html").read_text(
        encoding="utf-8"
    )
    named = re.search(r"<dt>In this mesh</dt><dd>(.*?)</dd>", page)
    assert named
    assert {"<code>store</code>", "<code>dashboard</code>"} <= set(named[1].rstrip(".").split(", "))
    assert "-authority inventory.acme.example" in page


def test_a_contract_may_have_a_name_of_any_letters(tmp_path: Path) -> None:
    text = (
        'syntax = "proto2";\npackage shop.v1;\nimport "google/protobuf/descriptor.proto";\n'
        "extend google.protobuf.FieldOptions { optional string size = 50001; }\nmessage Ware {}\n"
    )
    contractfiles.write(tmp_path / "protos", {"shop/v1/größe.proto": text})
    done = publish([tmp_path / "protos"], tmp_path / "site")
    assert "shop.v1.Ware" in "".join(
        (tmp_path / "site" / name).read_text() for name in done.written if name.endswith(".html")
    )
