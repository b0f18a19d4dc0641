"""MP111: access names a role or a scope, not just any end user."""

from __future__ import annotations

from meshpact.contracts.lint.model import Context, Hit, Hits, LintRule
from meshpact.contracts.lint.policies import names_roles
from meshpact.contracts.model import Method
from meshpact.policy.v1 import policy_pb2 as pb


def _find(context: Context, method: Method) -> Hits:
    access = method.policy.access
    if access.end_user == pb.END_USER_REQUIRED and not names_roles(access) and not access.scopes:
        yield Hit(
            "any end user of any issuer may call, through any workload",
            'add roles: "...", user_roles: "..." or scopes: "..."',
            part="access",
        )


RULE = LintRule(
    id="MP111",
    name="access-named",
    summary="Access names a role or a scope, not just any end user.",
    why="a token alone says who somebody is, not what they may do",
    method=_find,
)
