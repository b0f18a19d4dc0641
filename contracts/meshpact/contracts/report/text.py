"""Findings for people: place and matter on one line, then whom it touches, why, what to do."""

from __future__ import annotations

from collections.abc import Iterator

from meshpact.contracts.findings import Finding
from meshpact.contracts.report.model import Report


def write(report: Report) -> str:
    """Every finding, and a line that counts them."""
    if not report.findings:
        return ""
    lines = [line for finding in report.findings for line in _lines(finding)]
    parts = [
        f"{count} {severity}{'' if count == 1 else 's'}"
        for severity, count in report.counts.items()
        if count
    ]
    return "\n".join([*lines, ", ".join(parts), ""])


def _lines(finding: Finding) -> Iterator[str]:
    about = f"{finding.subject}: " if finding.subject else ""
    yield f"{finding.place}: {finding.severity.value} {finding.rule}: {about}{finding.message}"
    if finding.who:
        yield f"    who: {finding.who}"
    if finding.why:
        yield f"    why: {finding.why}"
    if finding.remedy:
        yield f"    do: {finding.remedy}"
