"""The tables of cases, a module a rule, named as the rule's own module."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Final

from lint.cases import Case

_RULES: Final = Path(__file__).parents[3] / "contracts/meshpact/contracts/lint/rules"


def tables() -> Mapping[str, tuple[Case, ...]]:
    """The cases of each rule by its ID. A rule without a table raises ModuleNotFoundError."""
    found: dict[str, tuple[Case, ...]] = {}
    for path in sorted(_RULES.glob("[!_]*.py")):
        rule = import_module(f"meshpact.contracts.lint.rules.{path.stem}").RULE
        found[rule.id] = import_module(f"lint.tables.{path.stem}").CASES
    return found
