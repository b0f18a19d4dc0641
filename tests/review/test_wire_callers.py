"""Findings of buf on the wire name the methods that they are about, and who calls these."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from meshpact.contracts.review import wireusers
from review.reviews import AGAINST, Ran, Repository, who, write

Review = Callable[..., Ran]
KINDS = """
enum Kind { KIND_UNSPECIFIED = 0; KIND_FRESH = 1; KIND_OLD = 2; }
message Line { Kind kind = 1; map<string, Inner> more = 2; message Inner { string text = 1; } }
message Other { message Inner { string text = 1; } Inner inner = 1; }
message Alone { string text = 1; }
"""
EXTRA = 'syntax = "proto3";\npackage shop.v1;\nmessage Extra { string a = 1; }\n'


@pytest.fixture
def shop(repository: Repository) -> Repository:
    """Get returns lines, Put takes others."""
    repository.replace("int64 left = 1;", "int64 left = 1; repeated Line lines = 2;")
    repository.replace("int64 count = 2", "Other other = 4; int64 count = 2")
    repository.contract.write_text(repository.contract.read_text() + KINDS)
    repository.commit("Have kinds")
    return repository


def _uses(finding: Any) -> list[str]:
    return [
        each["method"].rpartition("/")[2] for each in finding["touched"] if each["kind"] == "uses"
    ]


@pytest.mark.parametrize(
    ("before", "after", "rule", "methods", "callers"),
    [
        ("string sku = 1 [", "int64 sku = 1 [", "FIELD_SAME_TYPE", ["Put"], ["web"]),
        ("int64 count = 2 [", "reserved 2; int64 amount = 7 [", "", ["Put"], ["web"]),
        ("string sku = 1; }", "int64 sku = 1; }", "FIELD_SAME_TYPE", ["Get"], ["desk", "web"]),
        ("KIND_OLD = 2;", "", "ENUM_VALUE_NO_DELETE", ["Get"], ["desk", "web"]),
        ("Inner { string text = 1; } }", "Inner { int32 text = 1; } }", "FIELD_SAME_TYPE", ["Get"],
         ["desk", "web"]),
        ("Inner { string text = 1; } Inner", "Inner { int32 text = 1; } Inner", "FIELD_SAME_TYPE",
         ["Put"], ["web"]),
        ("map<string, Inner>", "map<string, Other>", "FIELD_SAME_TYPE", ["Get"], ["desk", "web"]),
        ("returns (GetResponse)", "returns (stream GetResponse)", "RPC_SAME_SERVER_STREAMING",
         ["Get"], ["desk", "web"]),
        ("Alone { string", "Alone { int32", "FIELD_SAME_TYPE", [], []),
        ("message Alone { string text = 1; }", "", "MESSAGE_NO_DELETE", [], []),
    ],
)  # fmt: skip
def test_a_finding_names_the_methods_that_have_the_type_and_their_callers(
    shop: Repository, review: Review, before: str, after: str, rule: str, methods: list[str],
    callers: list[str],
) -> None:  # fmt: skip
    shop.replace(before, after)
    ran = review(*AGAINST, "--json")
    found = [each for each in ran.json["findings"] if each["rule"].isupper()]
    assert rule in {each["rule"] for each in found} or not rule, ran.found
    for each in found:
        assert _uses(each) == methods, each
        assert sorted(set(who(each, "callers"))) == callers, each


def test_every_form_says_who_calls(shop: Repository, review: Review) -> None:
    shop.replace("KIND_OLD = 2;", "")
    said = "in Stock/Get; called by desk, web"
    head = review(*AGAINST).out.split("<details>")[0]
    assert said in head
    assert f"who: {said}" in review(*AGAINST, "--format", "text").out
    assert said in review(*AGAINST, "--format", "github").out
    results = json.loads(review(*AGAINST, "--format", "sarif").out)["runs"][0]["results"]
    assert any(said in each["message"]["text"] for each in results)


def test_without_a_mesh_the_methods_are_named(shop: Repository, review: Review) -> None:
    shop.replace("KIND_OLD = 2;", "")
    head = review("--against", "HEAD").out.split("<details>")[0]
    assert "in Stock/Get |" in head


def test_a_type_that_went_with_its_methods_names_who_called_these(
    shop: Repository, review: Review
) -> None:
    text = shop.contract.read_text()
    start = text.index("  rpc Put")
    text = text[:start] + text[text.index("}\n\nenum StockError") :]
    start = text.index("message Other")
    text = text[:start] + text[text.index("message Alone") :]
    start = text.index("message PutRequest")
    shop.contract.write_text(text[:start] + text[text.index("message PutResponse") :])
    ran = review(*AGAINST, "--json")
    gone = [each for each in ran.json["findings"] if each["rule"] == "MESSAGE_NO_DELETE"]
    assert len(gone) == 3
    for each in gone:
        assert (_uses(each), who(each, "callers")) == (["Put"], ["web"])
    deleted = ran.finding("RPC_NO_DELETE")
    assert (_uses(deleted), who(deleted, "callers")) == (["Put"], ["web"])


def test_a_file_that_is_gone_names_who_used_what_was_in_it(
    shop: Repository, review: Review
) -> None:
    write(shop.top / "protos", EXTRA, "shop/v1/extra.proto")
    shop.replace("message PutResponse {}", "message PutResponse { Extra extra = 1; }")
    shop.replace('import "buf', 'import "shop/v1/extra.proto";\nimport "buf')
    shop.commit("Keep extra elsewhere")
    shop.replace('import "shop/v1/extra.proto";\n', "")
    shop.contract.write_text(shop.contract.read_text() + "message Extra { string a = 1; }\n")
    (shop.top / "protos/shop/v1/extra.proto").unlink()
    finding = review(*AGAINST, "--json").finding("FILE_NO_DELETE")
    assert (_uses(finding), who(finding, "callers")) == (["Put"], ["web"])


def test_a_package_that_lost_a_type_names_who_used_it(shop: Repository, review: Review) -> None:
    (shop.top / "review.yaml").write_text("wire: PACKAGE\n")
    write(shop.top / "protos", EXTRA, "shop/v1/extra.proto")
    shop.replace("message PutResponse {}", "message PutResponse { Extra extra = 1; }")
    shop.replace('import "buf', 'import "shop/v1/extra.proto";\nimport "buf')
    shop.commit("Keep extra elsewhere")
    shop.replace('import "shop/v1/extra.proto";\n', "")
    shop.replace("{ Extra extra = 1; }", "{}")
    (shop.top / "protos/shop/v1/extra.proto").unlink()
    finding = review(*AGAINST, "--json").finding("PACKAGE_MESSAGE_NO_DELETE")
    assert (_uses(finding), who(finding, "callers")) == (["Put"], ["web"])


def test_of_very_many_methods_some_are_named_and_the_rest_counted(
    shop: Repository, review: Review, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wireusers, "NAMED", 3)
    more = "".join(f"  rpc Get{n}(GetRequest) returns (GetResponse);\n" for n in range(7))
    shop.replace("  rpc Get(", f"{more}  rpc Get(")
    shop.replace("[shop.v1.Stock/Get]", "[shop.v1.Stock/Get6]", shop.top / "mesh.yaml")
    shop.commit("Have many")
    shop.replace("string sku = 1; }", "int64 sku = 1; }")
    finding = review(*AGAINST, "--json").finding("FIELD_SAME_TYPE")
    assert _uses(finding) == ["Get", "Get0", "Get1", ""]
    assert set(who(finding, "callers")) == {"web"}
    assert "in Stock/Get, Stock/Get0, Stock/Get1 and 5 more; called by web" in review(*AGAINST).out


def test_who_really_called_stands_at_findings_of_the_wire_too(
    shop: Repository, review: Review
) -> None:
    trail = shop.top.parent / "empty.jsonl"
    trail.write_text("")
    shop.replace("KIND_OLD = 2;", "")
    ran = review(*AGAINST, "--audit", trail, "--json")
    assert "calls" in {each["kind"] for each in ran.finding("ENUM_VALUE_NO_DELETE")["touched"]}


def test_a_method_that_moved_names_those_who_call_it_by_its_old_name(
    shop: Repository, review: Review
) -> None:
    shop.replace("service Stock {", "service Store {")
    ran = review(*AGAINST, "--json")
    assert who(ran.finding("method-moved", "Get"), "callers") == ["desk", "web"]
    assert who(ran.finding("method-moved", "Put"), "callers") == ["web"]
    assert set(who(ran.finding("SERVICE_NO_DELETE"), "callers")) == {"desk", "web"}
