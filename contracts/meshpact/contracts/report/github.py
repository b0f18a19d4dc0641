"""Findings as GitHub Actions' workflow commands, which show them beside the lines of a change.

Source: "Workflow commands for GitHub Actions", `error`, `warning` and `notice`.
"""

from __future__ import annotations

from meshpact.contracts.findings import Finding, Severity
from meshpact.contracts.report.model import Report, relative

_COMMANDS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTE: "notice"}


def write(report: Report) -> str:
    """A line a finding, and one a remark."""
    title = _property(f"meshpact {report.command}")
    remarks = (f"::notice title={title}::{_data(remark)}" for remark in report.remarks)
    return "".join(f"{line}\n" for line in (*map(_line, report.findings), *remarks))


def _line(finding: Finding) -> str:
    properties = {"file": relative(finding.file)}
    if finding.line:
        properties["line"] = str(finding.line)
        if finding.column:
            properties["col"] = str(finding.column)
    properties["title"] = finding.rule
    about = f"{finding.subject}: " if finding.subject else ""
    parts = (f"{about}{finding.message}", finding.who, finding.why, finding.remedy)
    text = "\n".join(filter(None, parts))
    listed = ",".join(f"{name}={_property(value)}" for name, value in properties.items())
    return f"::{_COMMANDS[finding.severity]} {listed}::{_data(text)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
