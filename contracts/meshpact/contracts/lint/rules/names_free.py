"""MP103: the names that are generated from a contract are those of Python, and each is its own."""

from __future__ import annotations

from meshpact.contracts import check_names
from meshpact.contracts.lint.model import Context, Hit, Hits, LintRule


def _find(context: Context) -> Hits:
    contracts = context.contracts
    for file in contracts.files:
        for fault in check_names.find(contracts, file):
            yield Hit(fault.message, fault.remedy, place=fault.place, subject=fault.subject)
    for fault in check_names.cycles(contracts):
        yield Hit(fault.message, fault.remedy, place=fault.place, subject=fault.subject)


RULE = LintRule(
    id="MP103",
    name="names-free",
    summary="Generated names are free: no two alike, none that Python keeps for itself.",
    why="nothing is generated from a contract whose names meet each other in one module",
    whole=_find,
)
