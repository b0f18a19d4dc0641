"""Findings as GitLab's Code Quality report, which it shows beside the lines of a merge request.

Source: "Code Quality report format" of GitLab.
"""

from __future__ import annotations

import json
from typing import Final

from meshpact.contracts.findings import Finding, Severity
from meshpact.contracts.report.model import Report, relative

_SEVERITIES: Final = {
    Severity.ERROR: "major",
    Severity.WARNING: "minor",
    Severity.NOTE: "info",
}


def write(report: Report) -> str:
    """One JSON array; GitLab wants one also when nothing is found."""
    found = [_finding(finding, report.command) for finding in report.findings]
    return json.dumps(found, indent=2, ensure_ascii=False) + "\n"


def _finding(finding: Finding, command: str) -> dict[str, object]:
    about = f"{finding.subject}: " if finding.subject else ""
    return {
        "description": f"{about}{finding.message}",
        "check_name": f"meshpact-{command}-{finding.rule}",
        "fingerprint": finding.fingerprint,
        "severity": _SEVERITIES[finding.severity],
        "location": {
            "path": relative(finding.file) if finding.file else ".",
            "lines": {"begin": max(1, finding.line)},
        },
    }
