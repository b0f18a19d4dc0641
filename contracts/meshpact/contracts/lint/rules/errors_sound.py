"""MP102: every error has a domain, a reason, a code, words, and the metadata that they use."""

from __future__ import annotations

from meshpact.contracts import check_errors
from meshpact.contracts.lint.model import Context, Hit, Hits, LintRule


def _find(context: Context) -> Hits:
    for file in context.contracts.files:
        for fault in check_errors.find(context.contracts, file):
            yield Hit(fault.message, fault.remedy, place=fault.place, subject=fault.subject)


RULE = LintRule(
    id="MP102",
    name="errors-sound",
    summary="Every error has a domain, a reason, a code, words, and metadata (AIP-193).",
    why="callers decide by domain, reason and metadata; what is not declared does not reach them",
    whole=_find,
)
