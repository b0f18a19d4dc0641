"""MP113: `unauthenticated` says in words why anyone may call."""

from __future__ import annotations

from meshpact.contracts.lint.model import Context, Hit, Hits, LintRule
from meshpact.contracts.lint.prose import is_reason
from meshpact.contracts.model import Method


def _find(context: Context, method: Method) -> Hits:
    door = method.policy.access.unauthenticated
    if door.reason.strip() and not is_reason(door.reason):
        yield Hit(
            f"{door.reason!r} is no reason why anyone may call",
            "say in a sentence why no identity is needed, for whoever reviews it",
            part="access.unauthenticated.reason",
        )


RULE = LintRule(
    id="MP113",
    name="open-door-reason",
    summary="An unauthenticated method gives a reason that is no placeholder.",
    why="the reason is what a reviewer judges the open door by",
    method=_find,
)
