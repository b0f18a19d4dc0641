"""MP122: there is a maximum deadline, and it suits the shape of the method."""

from __future__ import annotations

from typing import Final

from meshpact.contracts.findings import Severity
from meshpact.contracts.lint.model import Context, Hit, Hits, LintRule
from meshpact.contracts.lint.policies import streams, time
from meshpact.contracts.model import Method
from meshpact.interceptors.policy_problems import seconds

UNARY: Final = 600.0
STREAM: Final = 24 * 3600.0
"""The most, in seconds."""


def _find(context: Context, method: Method) -> Hits:
    deadline = method.policy.deadline
    if not deadline.HasField("default"):
        return
    if not deadline.HasField("max"):
        if not streams(method):
            yield Hit(
                "a unary method has no maximum deadline",
                "add max: { seconds: ... }: what the slowest honest call takes",
                part="deadline",
            )
        return
    stated, most = seconds(deadline.max), STREAM if streams(method) else UNARY
    if stated > most:
        shape = "streams" if streams(method) else "is unary"
        yield Hit(
            f"a maximum deadline of {time(stated)} is long for a method that {shape}",
            f"state {time(most)} or less"
            + (", or none for a stream that may last for ever" if streams(method) else ""),
            part="deadline.max",
        )


RULE = LintRule(
    id="MP122",
    name="deadline-max",
    summary="A unary method has a maximum deadline of 10 min at most, a stream of 24 h at most.",
    why="a caller may ask for any time up to the maximum, and a slot of the server is held for it",
    severity=Severity.WARNING,
    method=_find,
)
