"""Contracts for tests, written to a folder: whole files, or the few lines that a test is about."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Final

HEAD: Final = """\
syntax = "proto3";

package shop.v1;

import "meshpact/policy/v1/policy.proto";

message GetRequest {}
message GetResponse {}

"""
"""What `contract` puts before a body; its lines count."""

MARK: Final = "@@"
"""Stands in a body before the place that a fault is expected to name."""

WHOLE: Final = """\
access: {roles: "shop.reader"}
deadline: {default: {seconds: 1}}
audit: {level: AUDIT_LEVEL_DENIALS}
"""
"""A policy that lacks nothing, as the inside of an option's braces."""

ROLE: Final = "any.role"
"""What the caller of any method of a drawn contract must hold."""


def write(root: Path, files: Mapping[str, str]) -> Path:
    """Write files below a root and return the root."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return root


def contract(root: Path, body: str, name: str = "shop/v1/shop.proto") -> tuple[Path, int, int]:
    """Write HEAD and a body; return the file, and the line and column that MARK stands at.

    Without a mark line and column are 0.
    """
    text = HEAD + textwrap.dedent(body)
    before, mark, after = text.partition(MARK)
    write(root, {name: before + after})
    line, column = before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1
    return root / name, line if mark else 0, column if mark else 0


def service(method: str = "", service: str = WHOLE, before: str = "", after: str = "") -> str:
    """A service `Shop` with a method `Get`, each with the given inside of its policy's braces."""
    options = f"option (meshpact.policy.v1.service) = {{\n{service}\n}};" if service else ""
    own = f"option (meshpact.policy.v1.method) = {{\n{method}\n}};" if method else ""
    return (
        f"service Shop {{\n{options}\nrpc Get(GetRequest) returns (GetResponse) "
        f"{{\n{before}\n{own}\n{after}\n}}\n}}\n"
    )


ERRORS: Final = """\
enum ShopError {
  option (meshpact.policy.v1.errors).domain = "shop.example";
  SHOP_ERROR_UNSPECIFIED = 0;
  SHOP_ERROR_NOT_FOUND = 1 [(meshpact.policy.v1.error) = {
    code: CODE_NOT_FOUND message: "There is no {name}." metadata: "name"
  }];
}
"""
"""An error enum without faults."""
