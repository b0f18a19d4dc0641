"""Meshpact's own rules as a list for people."""

from __future__ import annotations

from meshpact.contracts.lint.run import ALL_RULES


def rules_text() -> str:
    """A line a rule: its ID, its name, what it says."""
    widest = max(len(rule.name) for rule in ALL_RULES)
    return "".join(f"{rule.id}  {rule.name:{widest}}  {rule.summary}\n" for rule in ALL_RULES)
