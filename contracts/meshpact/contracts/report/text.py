"""Findings for people: place and matter on one line, then whom it touches, why, what to do."""

from __future__ import annotations

from collections.abc import Iterator

from meshpact.contracts.findings import Finding
from meshpact.contracts.report.model import Report


def write(report: Report) -> str:
    """Every finding, a line that counts them, and the remarks."""
    remarks = [f"remark: {remark}" for remark in report.remarks]
    if not report.findings:
        return "".join(f"{remark}\n" for remark in remarks)
    lines = [line for finding in report.findings for line in _lines(finding)]
    parts = [
        f"{count} {severity}{'' if count == 1 else 's'}"
        for severity, count in report.counts.items()
        if count
    ]
    return "\n".join([*lines, ", ".join(parts), *remarks, ""])


def _lines(finding: Finding) -> Iterator[str]:
    about = f"{finding.subject}: " if finding.subject else ""
    yield f"{finding.place}: {finding.severity.value} {finding.rule}: {about}{finding.message}"
    if finding.who:
        yield f"    who: {finding.who}"
    if finding.why:
        yield f"    why: {finding.why}"
    if finding.remedy:
        yield f"    do: {finding.remedy}"
