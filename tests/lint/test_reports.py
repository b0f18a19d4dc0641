"""Findings as text, JSON, annotations and SARIF say the same, in forms that tools accept."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator, validate

from meshpact.contracts.findings import Finding, Rule, Severity, in_order
from meshpact.contracts.report import Format, Report, asjson, write

ONE = Finding(
    rule="MP183",
    severity=Severity.ERROR,
    file="protos/shop, v1/a:b.proto",
    line=3,
    column=5,
    message="100% wrong\nhere",
    why="sums drift",
    remedy="use cents",
    subject="shop.v1.Ware.price",
)
FILE = replace(ONE, line=0, column=0, subject="", severity=Severity.NOTE, why="", remedy="")
REPORT = Report("lint", (ONE, FILE), {"MP183": Rule("MP183", "money-exact", "No floats.")})
EMPTY = Report("lint", ())


def test_text_has_the_place_the_matter_why_and_what_to_do() -> None:
    report = Report("lint", (replace(ONE, message="wrong"), replace(FILE, message="odd")))
    assert write(report, Format.TEXT) == (
        "protos/shop, v1/a:b.proto:3:5: error MP183: shop.v1.Ware.price: wrong\n"
        "    why: sums drift\n"
        "    do: use cents\n"
        "protos/shop, v1/a:b.proto: note MP183: odd\n"
        "1 error, 1 note\n"
    )


def test_annotations_escape_what_would_end_them() -> None:
    assert write(REPORT, Format.GITHUB) == (
        "::error file=protos/shop%2C v1/a%3Ab.proto,line=3,col=5,title=MP183::"
        "shop.v1.Ware.price: 100%25 wrong%0Ahere%0Asums drift%0Ause cents\n"
        "::notice file=protos/shop%2C v1/a%3Ab.proto,title=MP183::100%25 wrong%0Ahere\n"
    )


@pytest.mark.parametrize("report", [REPORT, EMPTY])
def test_json_is_as_its_published_schema_says(report: Report) -> None:
    schema = json.loads(asjson.schema())
    Draft202012Validator.check_schema(schema)
    content = json.loads(write(report, Format.JSON))
    validate(content, schema, Draft202012Validator)
    assert content["counts"]["error"] == sum(
        each.severity is Severity.ERROR for each in report.findings
    )


def test_sarif_names_rules_places_and_fingerprints() -> None:
    log: dict[str, Any] = json.loads(write(REPORT, Format.SARIF))
    assert log["version"] == "2.1.0"
    (run,) = log["runs"]
    (rule,) = run["tool"]["driver"]["rules"]
    assert rule == {
        "id": "MP183",
        "name": "MoneyExact",
        "shortDescription": {"text": "No floats."},
    }
    first, second = run["results"]
    assert (first["ruleId"], first["ruleIndex"], first["level"]) == ("MP183", 0, "error")
    (location,) = first["locations"]
    assert location["physicalLocation"] == {
        "artifactLocation": {
            "uri": "protos/shop%2C%20v1/a%3Ab.proto",
            "uriBaseId": "%SRCROOT%",
        },
        "region": {"startLine": 3, "startColumn": 5},
    }
    assert location["logicalLocations"] == [{"fullyQualifiedName": "shop.v1.Ware.price"}]
    assert first["partialFingerprints"] == {"meshpactFinding/v1": ONE.fingerprint}
    assert "region" not in second["locations"][0]["physicalLocation"]
    assert second["level"] == "note"


def test_sarif_without_findings_has_one_run_without_results() -> None:
    log = json.loads(write(EMPTY, Format.SARIF))
    assert log["runs"][0]["results"] == []


def test_paths_below_the_working_directory_are_told_without_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    inside = replace(ONE, file=str(tmp_path / "protos" / "a.proto"))
    outside = replace(ONE, file="/elsewhere/a.proto")
    report = Report("lint", (inside, outside))
    files = [each["file"] for each in json.loads(write(report, Format.JSON))["findings"]]
    assert files == ["protos/a.proto", "/elsewhere/a.proto"]
    results = json.loads(write(report, Format.SARIF))["runs"][0]["results"]
    artifacts = [each["locations"][0]["physicalLocation"]["artifactLocation"] for each in results]
    assert artifacts == [
        {"uri": "protos/a.proto", "uriBaseId": "%SRCROOT%"},
        {"uri": "file:///elsewhere/a.proto"},
    ]


def test_a_fingerprint_outlives_moves_and_not_changes_of_the_matter() -> None:
    assert replace(ONE, line=9, column=9, file="other.proto").fingerprint == ONE.fingerprint
    assert replace(ONE, subject="shop.v1.Ware.cost").fingerprint != ONE.fingerprint
    assert replace(ONE, message="other").fingerprint != ONE.fingerprint
    assert replace(FILE, file="other.proto").fingerprint != FILE.fingerprint


def test_findings_are_told_in_order_and_once() -> None:
    later = replace(ONE, line=10)
    assert in_order([later, ONE, later]) == (ONE, later)
