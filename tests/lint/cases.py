"""The corpus of lint cases: for each rule a table of contracts and of what the rule finds there.

Every contract is a package of its own, so that all of them are linted in one run.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import contractfiles
from meshpact.contracts.findings import Finding
from meshpact.contracts.lint import Options, lint

MARK: Final = contractfiles.MARK
"""Stands in a body before each place that a finding is expected at."""

HEAD: Final = """\
syntax = "proto3";

package PACKAGE;

import "buf/validate/validate.proto";
import "google/protobuf/field_mask.proto";
import "google/protobuf/timestamp.proto";
import "google/type/money.proto";
import "meshpact/policy/v1/policy.proto";

"""
WHOLE: Final = (
    'access: { roles: "shop.reader" } deadline: { default: { seconds: 1 } max: { seconds: 5 } } '
    "audit: { level: AUDIT_LEVEL_DENIALS }"
)
"""A policy that lacks nothing, on one line."""


@dataclass(frozen=True)
class Case:
    """What a rule decides of one contract: `finds` are its messages, in the order of the marks.

    PACKAGE in a body is its package. With `mesh` (a mesh.yaml) it is linted by itself; a mark may
    stand there, too.
    """

    says: str
    body: str
    finds: tuple[str, ...] = ()
    mesh: str = ""


@dataclass(frozen=True)
class Decided:
    """One case, what was expected of it and what was found: lines, columns and messages."""

    rule: str
    case: Case
    expected: tuple[tuple[int, int, str], ...]
    found: tuple[tuple[int, int, str], ...]

    @property
    def right(self) -> bool:
        """Whether the rule decided as the table says."""
        return self.expected == self.found

    def __str__(self) -> str:
        return f"{self.rule}: {self.case.says}: expected {self.expected}, found {self.found}"


def method(
    name: str,
    policy: str = "",
    *,
    request: str = "",
    response: str = "",
    options: str = "",
    service: str = WHOLE,
    streams: tuple[str, str] = ("", ""),
    before: str = "",
) -> str:
    """A service with one method and its messages, the insides of which are given."""
    own = f"option (meshpact.policy.v1.method) = {{ {policy} }};" if policy else ""
    shared = f"option (meshpact.policy.v1.service) = {{ {service} }};" if service else ""
    up, down = streams
    return (
        f"service ShopService {{\n{shared}\n"
        f"{before}rpc {name}({up}{name}Request) returns ({down}{name}Response) {{\n"
        f"{options}\n{own}\n}}\n}}\n"
        f"message {name}Request {{\n{request}\n}}\nmessage {name}Response {{\n{response}\n}}\n"
    )


def inbound(fields: str, more: str = "") -> str:
    """A method that takes a message with these fields."""
    return method("Get", request=fields) + more


def decide(root: Path, tables: Mapping[str, Iterable[Case]]) -> dict[str, list[Decided]]:
    """Lints all cases of all tables, those without a mesh in one run, and sorts the findings."""
    plain: dict[str, list[tuple[str, Case]]] = {}
    texts: dict[str, str] = {}
    alone: list[tuple[str, str, Case]] = []
    for rule, cases in tables.items():
        for number, case in enumerate(cases):
            name = f"{rule.lower()}/case{number}/v1/shop.proto"
            if case.mesh:
                alone.append((rule, name, case))
            else:
                plain.setdefault(rule, []).append((name, case))
            texts[name] = _text(case, name)
    together = {name for entries in plain.values() for name, _ in entries}
    contractfiles.write(root / "protos", {name: texts[name].replace(MARK, "") for name in together})
    findings = lint(Options([root / "protos"])).report.findings if together else ()
    decided: dict[str, list[Decided]] = {rule: [] for rule in tables}
    for rule, entries in plain.items():
        for name, case in entries:
            path = str(root / "protos" / name)
            found = [each for each in findings if each.rule == rule and each.file == path]
            decided[rule].append(_decided(rule, case, texts[name], "", found))
    for rule, name, case in alone:
        folder = root / "alone" / name
        mesh = textwrap.dedent(case.mesh).replace("PACKAGE", _package(name))
        contractfiles.write(folder, {f"protos/{name}": texts[name].replace(MARK, "")})
        contractfiles.write(folder, {"mesh.yaml": mesh.replace(MARK, "")})
        linted = lint(Options([folder / "protos"], mesh=folder / "mesh.yaml"))
        found = [each for each in linted.report.findings if each.rule == rule]
        decided[rule].append(_decided(rule, case, texts[name], mesh, found))
    return decided


def _decided(rule: str, case: Case, text: str, mesh: str, findings: Iterable[Finding]) -> Decided:
    places = [*_marks(text), *((line, 0) for line, _ in _marks(mesh))]
    package = text.partition("package ")[2].partition(";")[0]
    wanted = [message.replace("PACKAGE", package) for message in case.finds]
    found = [(each.line, each.column, each.message) for each in findings]
    expected = [
        (line, column, message) for (line, column), message in zip(places, wanted, strict=True)
    ]
    return Decided(rule, case, tuple(sorted(expected)), tuple(sorted(found)))


def _text(case: Case, name: str) -> str:
    return (HEAD + textwrap.dedent(case.body)).replace("PACKAGE", _package(name))


def _package(name: str) -> str:
    return name.rpartition("/")[0].replace("/", ".")


def _marks(text: str) -> list[tuple[int, int]]:
    """Line and column of each mark, the marks themselves taken out."""
    places: list[tuple[int, int]] = []
    for number, line in enumerate(text.split("\n"), 1):
        parts = line.split(MARK)
        column = 1
        for part in parts[:-1]:
            column += len(part)
            places.append((number, column))
    return places
