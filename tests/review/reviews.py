"""Contracts for tests of the review: written from the few lines that differ, and reviewed."""

from __future__ import annotations

import atexit
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

AGAINST: Final = ("--against", "HEAD", "--mesh", "mesh.yaml")
"""Of the working tree against the last commit, with the mesh."""

HEAD: Final = """\
syntax = "proto3";
package shop.v1;
import "buf/validate/validate.proto";
import "google/protobuf/any.proto";
import "google/protobuf/duration.proto";
import "google/protobuf/field_mask.proto";
import "google/protobuf/timestamp.proto";
import "google/protobuf/wrappers.proto";
import "meshpact/policy/v1/policy.proto";
"""
PARTS: Final[Mapping[str, str]] = {
    "access": 'roles: "shop.reader"',
    "deadline": "default: {seconds: 1} max: {seconds: 10}",
    "audit": "level: AUDIT_LEVEL_DENIALS",
}
"""A policy that lacks nothing, part by part, as the inside of braces."""

MESH: Final = """\
trust_domain: shop.example
services:
  desk: {calls: [shop.v1.Stock/Get]}
  web: {calls: [shop.v1.Stock/*]}
  stranger: {}
roles:
  shop.reader: {workloads: [web], groups: [staff]}
  shop.writer: {workloads: [desk], users: [anna]}
issuers:
  - {issuer: https://issuer.example, file: jwks.json, audiences: [shop], algorithms: [ES256]}
networks: {mesh: [10.0.0.0/8]}
"""
SHOP: Final = (
    HEAD
    + """
service Stock {
  option (meshpact.policy.v1.service) = {
    access: {roles: "shop.reader"}
    deadline: {default: {seconds: 1} max: {seconds: 10}}
    audit: {level: AUDIT_LEVEL_DENIALS}
  };
  rpc Get(GetRequest) returns (GetResponse);
  rpc Put(PutRequest) returns (PutResponse) {
    option (meshpact.policy.v1.method) = {
      access: {roles: "shop.writer"}
      audit: {level: AUDIT_LEVEL_ALL}
      errors: "SOLD_OUT"
    };
  }
}

enum StockError {
  option (meshpact.policy.v1.errors).domain = "shop.example";
  STOCK_ERROR_UNSPECIFIED = 0;
  STOCK_ERROR_SOLD_OUT = 1 [(meshpact.policy.v1.error) = {
    code: CODE_FAILED_PRECONDITION message: "Only {left} of {sku}." metadata: ["sku", "left"]
  }];
}

message GetRequest { string sku = 1; }
message GetResponse { int64 left = 1; }
message PutRequest {
  string sku = 1 [(buf.validate.field).string.max_len = 20];
  int64 count = 2 [(buf.validate.field).int64 = {gte: 1 lte: 100}];
  string who = 3 [debug_redact = true];
}
message PutResponse {}
"""
)


def policy(parts: Mapping[str, str], scope: str) -> str:
    """An option of a `service` or a `method`; errors and criticality stand without braces."""
    inside = "\n".join(
        f"    {name}: {text}" if name in ("errors", "criticality") else f"    {name}: {{{text}}}"
        for name, text in parts.items()
    )
    return f"  option (meshpact.policy.v1.{scope}) = {{\n{inside}\n  }};\n" if inside else ""


def method(name: str, own: str = "", streams: str = "") -> str:
    """A method with its own options, and messages of its own."""
    return f"  rpc {name}({name}Request) returns ({streams}{name}Response) {{\n{own}  }}\n"


def service(name: str, shared: str, methods: str) -> str:
    """A service."""
    return f"service {name} {{\n{shared}{methods}}}\n"


def write(root: Path, text: str, name: str = "shop/v1/shop.proto") -> Path:
    """A contract below a root; returns the root."""
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return root


@dataclass(frozen=True)
class Ran:
    """What the command did."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """What it printed, as JSON."""
        import json

        return json.loads(self.out)

    @property
    def found(self) -> set[tuple[str, str, str]]:
        """Subject, rule and class of each finding."""
        return {(each["subject"], each["rule"], each["class"]) for each in self.json["findings"]}

    def finding(self, rule: str, subject: str = "") -> Any:
        """The only finding of a rule."""
        found = [
            each
            for each in self.json["findings"]
            if each["rule"] == rule and each["subject"].endswith(subject)
        ]
        assert len(found) == 1, (rule, self.json["findings"])
        return found[0]


_opened: Final[list[Path]] = []
"""The repository as it is at first, once it was made: four runs of git less for each test."""


class Repository:
    """A git repository with the contracts of a shop, and its working tree."""

    def __init__(self, top: Path) -> None:
        self.top = top
        if _opened:
            shutil.copytree(_opened[0], top, dirs_exist_ok=True)
            return
        self.git("init", "-q", "-b", "main")
        write(top / "protos", SHOP)
        (top / "mesh.yaml").write_text(MESH)
        self.commit("Open the shop")
        copy = Path(tempfile.mkdtemp(prefix="meshpact-shop-"))
        atexit.register(shutil.rmtree, copy, ignore_errors=True)
        _opened.append(shutil.copytree(top, copy, dirs_exist_ok=True))

    @property
    def contract(self) -> Path:
        """The shop's contract."""
        return self.top / "protos/shop/v1/shop.proto"

    def git(self, *arguments: str, cwd: Path | None = None) -> str:
        """Runs git; returns what it prints."""
        done = subprocess.run(
            ["git", "-c", "user.name=A", "-c", "user.email=a@shop.example", *arguments],
            cwd=cwd or self.top,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def commit(self, why: str) -> str:
        """Commits all; returns the commit."""
        self.git("add", "-A")
        self.git("commit", "-q", "-m", why)
        return self.git("rev-parse", "HEAD")

    def replace(self, before: str, after: str, path: Path | None = None) -> None:
        """Changes the contract, or another file."""
        path = path or self.contract
        text = path.read_text()
        assert before in text, before
        path.write_text(text.replace(before, after))

    def state(self) -> tuple[str, ...]:
        """All that a review must leave as it is: files, index, references."""
        files = sorted(
            f"{path.relative_to(self.top)} {path.read_bytes()!r} {path.stat().st_mtime_ns}"
            for path in self.top.rglob("*")
            if path.is_file() and not path.is_symlink()
        )
        return (*files, self.git("--no-optional-locks", "status", "--porcelain=v2"))


def who(finding: Any, kind: str) -> list[str]:
    """Whom a finding touches in one way: `gains`, `loses` and so on."""
    return [each["who"] for each in finding["touched"] if each["kind"] == kind]
