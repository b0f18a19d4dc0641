"""Who must approve which findings, by CODEOWNERS of GitHub and of GitLab."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from meshpact.contracts.review.codeowners import CodeOwners, Demand, Syntax
from review.reviews import Ran, Repository

Review = Callable[..., Ran]

GITHUB = [
    ("* @all", "protos/a.proto", True),
    ("*", "protos/a.proto", False),
    ("*.proto @all", "protos/shop/a.proto", True),
    ("*.proto @all", "protos/a.proto.md", False),
    ("/protos/ @all", "protos/shop/a.proto", True),
    ("/protos/ @all", "old/protos/a.proto", False),
    ("protos/ @all", "old/protos/a.proto", True),
    ("protos @all", "protos/a.proto", True),
    ("protos/* @all", "protos/a.proto", True),
    ("protos/* @all", "protos/shop/a.proto", False),
    ("/* @all", "mesh.yaml", True),
    ("/* @all", "protos/a.proto", False),
    ("protos/shop @all", "protos/shop/v1/a.proto", True),
    ("protos/shop @all", "old/protos/shop/a.proto", False),
    ("protos/**/a.proto @all", "protos/shop/v1/a.proto", True),
    ("protos/**/a.proto @all", "protos/a.proto", True),
    ("protos/** @all", "protos/shop/v1/a.proto", True),
    ("**/shop @all", "protos/shop/a.proto", True),
    ("/protos/?.proto @all", "protos/a.proto", True),
    ("/protos/?.proto @all", "protos/ab.proto", False),
    (r"/my\ protos/ @all", "my protos/a.proto", True),
    ("/protos/ @all # why", "protos/a.proto", True),
    ("/protos/ someone@shop.example", "protos/a.proto", True),
    ("# /protos/ @all", "protos/a.proto", False),
    ("!/protos/ @all", "protos/a.proto", False),
    ("/protos/[ab].proto @all", "protos/a.proto", False),
    ("/protos/ all", "protos/a.proto", False),
    ("/PROTOS/ @all", "protos/a.proto", False),
    ("/pro.os/ @all", "protos/a.proto", False),
]
GITLAB = [
    ("* @all", "protos/a.proto", True),
    ("protos/shop/ @all", "old/protos/shop/v1/a.proto", True),
    ("/protos/shop/ @all", "old/protos/shop/v1/a.proto", False),
    ("/protos @all", "protos/a.proto", False),
    ("/protos/* @all", "protos/a.proto", True),
    ("/protos/* @all", "protos/shop/a.proto", False),
    ("/protos/**/*.proto @all", "protos/shop/v1/a.proto", True),
    ("/protos/[ab].proto @all", "protos/a.proto", True),
    ("/protos/[!ab].proto @all", "protos/a.proto", False),
    ("[Shop] @all\n/protos/", "protos/a.proto", True),
    ("[Shop] @all\n/protos/\n!/protos/a.proto", "protos/a.proto", False),
    ("[Shop] @all\n!/protos/a.proto\n/protos/", "protos/a.proto", False),
    ("[Shop]\n/protos/", "protos/a.proto", False),
    ("/protos/ @@maintainer", "protos/a.proto", True),
]


@pytest.mark.parametrize(("text", "path", "owned"), GITHUB)
def test_patterns_of_github(text: str, path: str, owned: bool) -> None:
    assert bool(CodeOwners(text, Syntax.GITHUB).of(path)) == owned


@pytest.mark.parametrize(("text", "path", "owned"), GITLAB)
def test_patterns_of_gitlab(text: str, path: str, owned: bool) -> None:
    assert bool(CodeOwners(text, Syntax.GITLAB).of(path)) == owned


@pytest.mark.parametrize("syntax", [Syntax.GITHUB, Syntax.GITLAB])
def test_the_last_match_wins(syntax: Syntax) -> None:
    owners = CodeOwners("* @all\n/protos/ @contracts @anna\n/protos/free/\n", syntax)
    assert owners.of("protos/a.proto") == [Demand(("@contracts", "@anna"))]
    assert owners.of("mesh.yaml") == [Demand(("@all",))]
    assert owners.of("protos/free/a.proto") == []


def test_each_section_of_gitlab_has_its_say() -> None:
    text = """\
* @all
[Contracts][2] @contracts @anna
/protos/
/protos/pay/ @pay
^[Docs] @writers
*.proto
[contracts]
/protos/tax/ @tax
"""
    owners = CodeOwners(text, Syntax.AUTO)
    assert owners.of("protos/a.proto") == [
        Demand(("@all",)),
        Demand(("@contracts", "@anna"), "Contracts", 2),
        Demand(("@writers",), "Docs", 1, True),
    ]
    assert owners.of("protos/pay/a.proto")[1] == Demand(("@pay",), "Contracts", 2)
    assert owners.of("protos/tax/a.proto")[1] == Demand(("@tax",), "contracts")


def test_whose_rules_hold_is_told_by_the_place_and_by_sections(tmp_path: Path) -> None:
    path = tmp_path / ".gitlab/CODEOWNERS"
    path.parent.mkdir()
    path.write_text("protos/shop/ @all\n")
    nested = "old/protos/shop/a.proto"
    assert CodeOwners.load(path).of(nested)
    assert not CodeOwners.load(path, Syntax.GITHUB).of(nested)


@pytest.fixture
def changed(repository: Repository) -> Repository:
    """A shop in which two files changed, and a CODEOWNERS."""
    other = repository.top / "protos/shop/v2/more.proto"
    other.parent.mkdir()
    other.write_text('syntax = "proto3";\npackage shop.v2;\nmessage More { int64 a = 1; }\n')
    (repository.top / "CODEOWNERS").write_text("/protos/ @shop/contracts\n/protos/shop/v2/ @v2\n")
    repository.commit("Own them")
    repository.replace("max: {seconds: 10}", "max: {seconds: 5}")
    repository.replace("int64 a = 1;", "int32 a = 1;", other)
    return repository


def test_a_review_names_who_must_approve_what(changed: Repository, review: Review) -> None:
    ran = review("--against", "HEAD", "--owners", "CODEOWNERS", "--json")
    ids = {
        each["rule"]: each["id"] for each in ran.json["findings"] if each["subject"][-3:] != "Put"
    }
    told = {tuple(each["owners"]): each for each in ran.json["approvals"]}
    assert told[("@v2",)]["findings"] == [ids["FIELD_SAME_TYPE"]]
    assert ids["max-deadline-lowered"] in told[("@shop/contracts",)]["findings"]
    assert len(told) == 2
    out = review("--against", "HEAD", "--owners", "CODEOWNERS").out
    assert "| who approves | findings |" in out
    assert "| `@shop/contracts` | `Stock`: `Get`, `Put`: " in out
    assert review("--against", "HEAD", "--json").json["approvals"] is None


def test_what_is_approved_or_a_note_asks_nobody(changed: Repository, review: Review) -> None:
    changed.git("checkout", "-q", "protos")
    changed.replace("{seconds: 1} max", "{seconds: 2} max")
    ran = review("--against", "HEAD", "--owners", "CODEOWNERS", "--json")
    assert ran.json["findings"] != []
    assert ran.json["approvals"] == []


def test_a_file_that_is_gone_still_has_its_owner(changed: Repository, review: Review) -> None:
    changed.git("checkout", "-q", "protos")
    (changed.top / "protos/shop/v2/more.proto").unlink()
    ran = review("--against", "HEAD", "--owners", "CODEOWNERS", "--json")
    assert [each["owners"] for each in ran.json["approvals"]] == [["@v2"]]


def test_what_nobody_owns_is_said(changed: Repository, review: Review) -> None:
    (changed.top / "CODEOWNERS").write_text("/docs/ @writers\n")
    assert "| nobody owns these files | " in (
        review("--against", "HEAD", "--owners", "CODEOWNERS").out
    )


def test_owners_count_from_the_top_of_the_repository(
    changed: Repository, review: Review, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(changed.top / "protos")
    ran = review("--against", "HEAD", "--protos", ".", "--owners", "../CODEOWNERS", "--json")
    assert {tuple(each["owners"]) for each in ran.json["approvals"]} == {
        ("@v2",),
        ("@shop/contracts",),
    }


def test_a_file_of_owners_that_cannot_be_read_is_wrong_use(
    changed: Repository, review: Review
) -> None:
    assert review("--against", "HEAD", "--owners", "nowhere").code == 2
    (changed.top / "CODEOWNERS").write_bytes(b"\xff\xfe")
    ran = review("--against", "HEAD", "--owners", "CODEOWNERS")
    assert (ran.code, "no text in UTF-8" in ran.err) == (2, True)
