"""A report: findings, and the rules they come from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

from meshpact.contracts.findings import Finding, Rule, Severity


@dataclass(frozen=True)
class Report:
    """What `meshpact COMMAND` found. `rules` has at least those found by, `remarks` are sentences
    on what could not be looked at."""

    command: str
    findings: tuple[Finding, ...]
    rules: Mapping[str, Rule] = field(default_factory=dict[str, Rule])
    remarks: tuple[str, ...] = ()

    @property
    def counts(self) -> dict[str, int]:
        """How many findings there are of each severity, zeros included."""
        found = Counter(finding.severity for finding in self.findings)
        return {severity.value: found[severity] for severity in Severity}

    @property
    def version(self) -> str:
        """Of Meshpact."""
        return version("meshpact")


def relative(file: str) -> str:
    """A path below the working directory without that, as tools that read reports want it."""
    path = Path(file)
    if path.is_absolute() and path.is_relative_to(Path.cwd()):
        path = path.relative_to(Path.cwd())
    return path.as_posix()
