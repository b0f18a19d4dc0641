"""Findings written for people and for machines: text, JSON, GitHub annotations, SARIF 2.1.0,
GitLab's Code Quality."""

from __future__ import annotations

import enum

from meshpact.contracts.findings import Finding as Finding
from meshpact.contracts.report import asjson, github, gitlab, sarif, text
from meshpact.contracts.report.model import Report as Report


class Format(enum.Enum):
    """What findings can be written as."""

    TEXT = "text"
    JSON = "json"
    GITHUB = "github"
    SARIF = "sarif"
    GITLAB = "gitlab"


def write(report: Report, form: Format) -> str:
    """The report as text, with a line feed at its end; "" when there is nothing to say."""
    return _WRITERS[form](report)


_WRITERS = {
    Format.TEXT: text.write,
    Format.JSON: asjson.write,
    Format.GITHUB: github.write,
    Format.SARIF: sarif.write,
    Format.GITLAB: gitlab.write,
}
