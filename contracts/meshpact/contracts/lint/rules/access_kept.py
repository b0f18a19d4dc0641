"""MP112: a method that states its own access still names a role, where its service names one."""

from __future__ import annotations

from meshpact.contracts.lint.model import Context, Hit, Hits, LintRule
from meshpact.contracts.lint.policies import names_roles
from meshpact.contracts.model import Method
from meshpact.policy.v1 import policy_pb2 as pb


def _find(context: Context, method: Method) -> Hits:
    if "access" in method.inherited:
        return
    service = method.service.proto.options.Extensions[pb.service].access
    access = method.policy.access
    if access.HasField("unauthenticated") or names_roles(access) or not names_roles(service):
        return
    roles = [*service.roles, *service.workload_roles, *service.user_roles]
    listed = ", ".join(f'"{role}"' for role in roles)
    yield Hit(
        f"its own access replaces the service's whole, and no role is demanded any more ({listed})",
        f"repeat the service's roles here, or name others: roles: {listed}",
        part="access",
    )


RULE = LintRule(
    id="MP112",
    name="access-kept",
    summary="A method's own access names a role, where its service's names one.",
    why="a part of a policy is inherited whole or not at all: a role that is not repeated is gone",
    method=_find,
)
