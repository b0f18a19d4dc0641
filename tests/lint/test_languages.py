"""Contracts in proto2 and in editions are linted like those in proto3."""

from __future__ import annotations

from pathlib import Path

import contractfiles
from meshpact.contracts.lint import Options, lint


def found(root: Path, text: str) -> list[tuple[str, int, int, str]]:
    """Rule, line, column and subject of everything that is found in a contract."""
    contractfiles.write(root, {"shop/v1/shop.proto": text})
    findings = lint(Options([root])).report.findings
    return [(each.rule, each.line, each.column, each.subject) for each in findings]


def test_a_group_of_proto2_has_one_comment_for_its_field_and_its_message(tmp_path: Path) -> None:
    text = """\
// Kept for old readers.
syntax = "proto2";

package shop.v1;

// What was sold.
message Old {
  // How it was sold.
  optional group Sale = 1 {
    optional double price = 2;
  }
}
"""
    assert found(tmp_path, text) == [
        ("MP161", 10, 5, "shop.v1.Old.Sale.price"),
        ("MP183", 10, 5, "shop.v1.Old.Sale.price"),
    ]


def test_extensions_are_looked_at(tmp_path: Path) -> None:
    text = """\
// Kept for old readers.
syntax = "proto2";

package shop.v1;

// What was sold.
message Old {
  extensions 100 to 200;
}

extend Old {
  optional string billing_email = 100;
}
"""
    assert found(tmp_path, text) == [
        ("MP161", 12, 3, "shop.v1.billing_email"),
        ("MP181", 12, 3, "shop.v1.billing_email"),
    ]


def test_an_edition_is_linted_with_waivers_and_presence_of_its_own(tmp_path: Path) -> None:
    text = """\
// meshpact:lint-ignore MP183 because thermometers call it that
edition = "2023";

package shop.v1;

// What is sold.
message Ware {
  // Degrees.
  double price = 1 [features.field_presence = IMPLICIT];
  Part part = 2 [features.message_encoding = DELIMITED];
}

// A part of it.
message Part {}
"""
    assert found(tmp_path, text) == [("MP161", 10, 3, "shop.v1.Ware.part")]
