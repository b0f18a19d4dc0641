"""MP121: the default deadline suits the shape of the method."""

from __future__ import annotations

from typing import Final

from meshpact.contracts.findings import Severity
from meshpact.contracts.lint.model import Context, Hit, Hits, LintRule
from meshpact.contracts.lint.policies import streams, time
from meshpact.contracts.model import Method
from meshpact.interceptors.policy_problems import seconds

UNARY: Final = (0.01, 60.0)
STREAM: Final = (1.0, 24 * 3600.0)
"""The least and the most, in seconds."""


def _find(context: Context, method: Method) -> Hits:
    if not method.policy.deadline.HasField("default"):
        return
    stated = seconds(method.policy.deadline.default)
    least, most = STREAM if streams(method) else UNARY
    shape = "streams" if streams(method) else "is unary"
    if 0 < stated < least:
        yield Hit(
            f"a default deadline of {time(stated)} is short for a method that {shape}",
            f"state {time(least)} or more, or nanos where you meant seconds",
            part="deadline.default",
        )
    elif stated > most:
        yield Hit(
            f"a default deadline of {time(stated)} is long for a method that {shape}",
            f"state {time(most)} or less"
            + ("" if streams(method) else ", or let the method start work that is asked for later"),
            part="deadline.default",
        )


RULE = LintRule(
    id="MP121",
    name="deadline-default",
    summary="The default deadline suits the shape: 10 ms to 60 s unary, 1 s to 24 h streaming.",
    why="callers that bring no deadline get this one: too short fails them, too long holds what "
    "they hold while a server hangs",
    severity=Severity.WARNING,
    method=_find,
)
