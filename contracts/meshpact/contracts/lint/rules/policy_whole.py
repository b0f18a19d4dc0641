"""MP101: every method has a whole policy that does not contradict itself."""

from __future__ import annotations

import re
from typing import Final

from meshpact.contracts import check_policy
from meshpact.contracts.lint.model import Context, Hit, Hits, LintRule


def _find(context: Context) -> Hits:
    for file in context.contracts.files:
        for fault in check_policy.find(context.contracts, file):
            twice = fault.message.endswith("is listed twice")
            yield Hit(
                fault.message,
                _with_option(fault.remedy),
                place=fault.place,
                subject=fault.subject,
                delete=fault.place.line if twice else 0,
            )


def _with_option(remedy: str) -> str:
    """A remedy that adds a part of a policy, with the option that this goes into."""
    if not _PART.match(remedy):
        return remedy
    return (
        f"{remedy}; it goes into option (meshpact.policy.v1.method) = {{ ... }} of the method, or, "
        "for all methods, into option (meshpact.policy.v1.service) = { ... } of the service"
    )


_PART: Final = re.compile("add (access|deadline|audit): ")

RULE = LintRule(
    id="MP101",
    name="policy-whole",
    summary="Every method has a whole policy that does not contradict itself.",
    why="nothing is generated from a contract whose policy is missing or contradicts itself, and "
    "no server starts with it",
    whole=_find,
)
