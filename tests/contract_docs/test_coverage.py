"""How much of contracts has a comment, as a number and as places."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from contract_docs.publishing import REFERENCE, shop
from meshpact.cli import main
from meshpact.contracts.docs import coverage

BODY = """
// A shop.
service Shop {
  // Gets one.
  rpc Get(GetRequest) returns (GetRequest);
  rpc Put(GetRequest) returns (GetRequest);
}

// Which.
message GetRequest {
  // Its name.
  string name = 1;
  int32 count = 2; // How many.
  map<string, string> labels = 3;
  // Inside.
  message Inner {}
  // Inside too.
  enum Kind {
    // None.
    KIND_UNSPECIFIED = 0;
    KIND_BIG = 1;
  }
}

enum ShopError {
  option (meshpact.policy.v1.errors).domain = "shop.example";
  // None.
  SHOP_ERROR_UNSPECIFIED = 0;
  SHOP_ERROR_GONE = 1 [(meshpact.policy.v1.error) = {code: CODE_NOT_FOUND message: "gone"}];
}
"""


def test_each_thing_without_a_comment_is_named_with_its_kind_and_place(tmp_path: Path) -> None:
    found = coverage([shop(tmp_path, BODY)])
    assert [(each.kind, each.name) for each in found.missing] == [
        ("method", "shop.v1.Shop/Put"),
        ("field", "shop.v1.GetRequest.labels"),
        ("value", "shop.v1.GetRequest.Kind.KIND_BIG"),
        ("enum", "shop.v1.ShopError"),
        ("reason", "shop.v1.ShopError.SHOP_ERROR_GONE"),
    ]
    text = (tmp_path / "shop/v1/shop.proto").read_text(encoding="utf-8").split("\n")
    assert "rpc Put" in text[found.missing[0].place.line - 1]
    assert found.total == 14
    assert found.percent == 64.2


def test_the_command_lists_them_and_ends_with_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["docs", "--coverage", "--protos", str(shop(tmp_path, BODY))]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith("shop.proto:16:3: method shop.v1.Shop/Put has no comment")
    assert lines[-1] == "64.2 % of 14 things have a comment"


def test_the_command_gives_them_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["docs", "--coverage", "--json", "--protos", str(shop(tmp_path, BODY))]) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["kinds"]["method"] == {"total": 2, "missing": 1}
    assert told["missing"][0]["line"] == 16


def test_the_reference_contracts_lack_no_comment(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["docs", "--coverage", "--protos", str(REFERENCE)]) == 0
    assert capsys.readouterr().out.startswith("100.0 %")


def test_contracts_with_nothing_in_them_are_whole(tmp_path: Path) -> None:
    assert coverage([shop(tmp_path, "")]).percent == 100.0
