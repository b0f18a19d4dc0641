"""The rules about waivers themselves: MP001, MP002, MP003."""

from __future__ import annotations

from typing import Final

from meshpact.contracts.findings import Severity
from meshpact.contracts.lint.model import LintRule

UNKNOWN: Final = LintRule(
    id="MP001",
    name="waiver-known",
    summary="A waiver names a rule that there is.",
    why="a waiver of a rule that is not there waives nothing",
)
REASON: Final = LintRule(
    id="MP002",
    name="waiver-reason",
    summary="A waiver says why, after the word because.",
    why="the reason is what a reviewer judges the waiver by",
)
UNUSED: Final = LintRule(
    id="MP003",
    name="waiver-used",
    summary="A waiver waives something.",
    why="a waiver that waives nothing hides the fault that somebody adds tomorrow",
    severity=Severity.WARNING,
)
RULES: Final = (UNKNOWN, REASON, UNUSED)
