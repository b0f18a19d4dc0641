"""MP206: where a method demands end users, mesh.yaml has issuers that vouch for some."""

from __future__ import annotations

from meshpact.contracts.lint.model import Context, Hit, Hits, LintRule
from meshpact.contracts.model import Method
from meshpact.policy.v1 import policy_pb2 as pb


def _find(context: Context, method: Method) -> Hits:
    assert context.mesh is not None
    demanded = method.policy.access.end_user == pb.END_USER_REQUIRED
    if demanded and not context.mesh.config.issuers:
        name = context.mesh.path.name
        yield Hit(
            f"an end user is demanded, and {name} has no issuers",
            f"say in {name} who issues the tokens (issuers: [{{ issuer: https://..., audiences: "
            "[...] }], see docs/how-to/accept-end-users.md), or drop end_user",
            part="access.end_user",
        )


RULE = LintRule(
    id="MP206",
    name="issuer-there",
    summary="Where a method demands end users, mesh.yaml has issuers of their tokens.",
    why="without an issuer no token is accepted, and every call is refused",
    needs_mesh=True,
    method=_find,
)
