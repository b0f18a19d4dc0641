"""MP101: every method has a whole policy that does not contradict itself."""

from __future__ import annotations

from meshpact.contracts import check_policy
from meshpact.contracts.lint.model import Context, Hit, Hits, LintRule


def _find(context: Context) -> Hits:
    for file in context.contracts.files:
        for fault in check_policy.find(context.contracts, file):
            twice = fault.message.endswith("is listed twice")
            yield Hit(
                fault.message,
                fault.remedy,
                place=fault.place,
                subject=fault.subject,
                delete=fault.place.line if twice else 0,
            )


RULE = LintRule(
    id="MP101",
    name="policy-whole",
    summary="Every method has a whole policy that does not contradict itself.",
    why="nothing is generated from a contract whose policy is missing or contradicts itself, and "
    "no server starts with it",
    whole=_find,
)
