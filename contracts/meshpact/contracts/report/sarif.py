"""Findings as SARIF 2.1.0 (OASIS), which code scanning reads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final
from urllib.parse import quote

from meshpact.contracts.findings import Finding, Rule
from meshpact.contracts.report.model import Report, relative

SCHEMA: Final = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)


def write(report: Report) -> str:
    """One log with one run."""
    ids = sorted({finding.rule for finding in report.findings} | report.rules.keys())
    index = {rule: number for number, rule in enumerate(ids)}
    run = {
        "tool": {
            "driver": {
                "name": f"meshpact {report.command}",
                "version": report.version,
                "rules": [_rule(report.rules.get(rule) or Rule(rule, "", "")) for rule in ids],
            }
        },
        "columnKind": "unicodeCodePoints",
        "results": [_result(finding, index[finding.rule]) for finding in report.findings],
    }
    if report.remarks:
        told = [{"level": "note", "message": {"text": remark}} for remark in report.remarks]
        run["invocations"] = [{"executionSuccessful": True, "toolExecutionNotifications": told}]
    log = {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}
    return json.dumps(log, indent=2, ensure_ascii=False) + "\n"


def _rule(rule: Rule) -> dict[str, object]:
    described: dict[str, object] = {"id": rule.id}
    if rule.name:
        described["name"] = "".join(word.capitalize() for word in rule.name.split("-"))
    if rule.summary:
        described["shortDescription"] = {"text": rule.summary}
    if rule.page.startswith("https://"):
        described["helpUri"] = rule.page
    return described


def _result(finding: Finding, index: int) -> dict[str, object]:
    about = f"{finding.subject}: " if finding.subject else ""
    sentences = (f"{about}{finding.message}", finding.who, finding.why, finding.remedy)
    place: dict[str, object] = {"artifactLocation": _artifact(finding.file)}
    if finding.line:
        region = {"startLine": finding.line}
        if finding.column:
            region["startColumn"] = finding.column
        place["region"] = region
    location: dict[str, object] = {"physicalLocation": place}
    if finding.subject:
        location["logicalLocations"] = [{"fullyQualifiedName": finding.subject}]
    return {
        "ruleId": finding.rule,
        "ruleIndex": index,
        "level": finding.severity.value,
        "message": {"text": "\n".join(filter(None, sentences))},
        "locations": [location],
        "partialFingerprints": {"meshpactFinding/v1": finding.fingerprint},
    }


def _artifact(file: str) -> dict[str, str]:
    path = relative(file)
    if Path(path).is_absolute():
        return {"uri": Path(path).as_uri()}
    return {"uri": quote(path), "uriBaseId": "%SRCROOT%"}
