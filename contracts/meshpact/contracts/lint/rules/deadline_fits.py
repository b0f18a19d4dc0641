"""MP202: a method's default deadline fits inside those of the callers that mesh.yaml declares."""

from __future__ import annotations

from meshpact.contracts.findings import Severity
from meshpact.contracts.lint.callers import Served, calls_of
from meshpact.contracts.lint.model import Context, Hit, Hits, LintRule
from meshpact.contracts.lint.policies import streams, time
from meshpact.interceptors.policy_problems import seconds


def _find(context: Context) -> Hits:
    served = Served(context)
    for call, method in ((call, method) for call, found in calls_of(context) for method in found):
        own = served.by(call.caller)
        if streams(method) or not own or not method.policy.deadline.HasField("default"):
            continue
        wanted = seconds(method.policy.deadline.default)
        longest = max(own, key=lambda each: seconds(each.policy.deadline.default))
        given = seconds(longest.policy.deadline.default)
        if wanted > given:
            yield Hit(
                f"{call.caller} calls {method.name}, whose default deadline is {time(wanted)}, and "
                f"has itself {time(given)} at most ({longest.name})",
                "shorten the default deadline of the method, or lengthen that of the caller",
                place=call.place,
                subject=method.name,
            )


RULE = LintRule(
    id="MP202",
    name="deadline-fits",
    summary="A default deadline fits inside those of the callers that mesh.yaml declares.",
    why="the caller gives up first: the work behind the call is done for nobody",
    severity=Severity.WARNING,
    needs_mesh=True,
    whole=_find,
)
