"""Findings as JSON, by the schema `findings.schema.json` beside this module."""

from __future__ import annotations

import json
from importlib.resources import files

from meshpact.contracts.findings import Finding
from meshpact.contracts.report.model import Report, relative


def write(report: Report) -> str:
    """One JSON object."""
    content = {
        "version": 1,
        "tool": "meshpact",
        "toolVersion": report.version,
        "command": report.command,
        "counts": report.counts,
        "findings": [_finding(finding) for finding in report.findings],
    }
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def schema() -> str:
    """The JSON Schema (draft 2020-12) of what `write` writes."""
    return (
        files("meshpact.contracts.report")
        .joinpath("findings.schema.json")
        .read_text(encoding="utf-8")
    )


def _finding(finding: Finding) -> dict[str, object]:
    return {
        "rule": finding.rule,
        "severity": finding.severity.value,
        "file": relative(finding.file),
        "line": finding.line,
        "column": finding.column,
        "subject": finding.subject,
        "message": finding.message,
        "why": finding.why,
        "remedy": finding.remedy,
        "fingerprint": finding.fingerprint,
    }
