"""Contracts for the tests of `meshpact docs`, published, and what lies in the folder then."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Final

import contractfiles
from meshpact.contracts.docs import Form, Published, publish

ROOT: Final = Path(__file__).parents[2]
REFERENCE: Final = ROOT / "protos"
DEMO: Final = ROOT / "tests" / "demo_contract" / "protos"

HEAD: Final = """\
syntax = "proto3";

package shop.v1;

import "buf/validate/validate.proto";
import "google/protobuf/duration.proto";
import "google/protobuf/timestamp.proto";
import "google/protobuf/wrappers.proto";
import "meshpact/policy/v1/policy.proto";
"""

EVIL: Final = (
    """<script>alert(1)</script> </title> "quoted' <img src=x onerror=alert(1)> &amp; {{ 7*7 }}"""
)
HOSTILE: Final = f"""
// {EVIL}
service Shop {{
  option (meshpact.policy.v1.service) = {{
    access: {{unauthenticated: {{reason: "<b>open</b> | [x](javascript:alert(1))"}}}}
    deadline: {{default: {{seconds: 1}}}}
    audit: {{level: AUDIT_LEVEL_NONE}}
    errors: "GONE"
  }};
  // {EVIL} `<i>code</i>`
  rpc Get(Thing) returns (Thing);
}}

// {EVIL}
message Thing {{
  // {EVIL} | a bar, [a link](javascript:alert(1)), ``` a fence
  string name = 1 [(buf.validate.field).string = {{const: "</script><script>alert(2)</script>"}}];
}}

// {EVIL}
enum ShopError {{
  option (meshpact.policy.v1.errors).domain = "shop.example";
  // None.
  SHOP_ERROR_UNSPECIFIED = 0;
  // {EVIL}
  SHOP_ERROR_GONE = 1 [(meshpact.policy.v1.error) = {{
    code: CODE_NOT_FOUND message: "<script>alert(3)</script>"
  }}];
}}
"""
"""A contract that tries to be markup wherever it may say something."""


def tree(out: Path) -> dict[str, bytes]:
    """All files below a folder."""
    return {
        path.relative_to(out).as_posix(): path.read_bytes()
        for path in sorted(out.rglob("*"))
        if path.is_file()
    }


def shop(root: Path, body: str) -> Path:
    """A folder with one contract; `body` follows HEAD."""
    return contractfiles.write(root, {"shop/v1/shop.proto": f"{HEAD}\n{body}"})


def published(protos: Path, out: Path, form: Form = Form.HTML, **options: Any) -> Published:
    """Publish with the options of `publish`."""
    return publish([protos], out, form, **options)


def openapi(protos: Path, out: Path, **options: Any) -> dict[str, Any]:
    """The document that is published."""
    published(protos, out, Form.OPENAPI, **options)
    found: dict[str, Any] = json.loads((out / "openapi.json").read_bytes())
    return found


def fenced(text: str, language: str) -> list[str]:
    """The blocks of code of a language in a Markdown text."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def generated_modules(root: Path, package: str) -> list[str]:
    """The names of all `_mesh` modules of a package below a folder."""
    found = sorted((root / package).rglob("*_mesh.py"))
    return [".".join(path.relative_to(root).with_suffix("").parts) for path in found]
