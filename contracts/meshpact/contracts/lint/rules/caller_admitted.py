"""MP203: every caller that mesh.yaml declares holds the roles that its calls demand."""

from __future__ import annotations

from collections.abc import Sequence

from meshpact.contracts.lint.callers import calls_of
from meshpact.contracts.lint.mesh import LintMesh
from meshpact.contracts.lint.model import Context, Hit, Hits, LintRule
from meshpact.contracts.model import Method
from meshpact.policy.v1 import policy_pb2 as pb


def _find(context: Context) -> Hits:
    mesh = context.mesh
    assert mesh is not None
    for call, methods in calls_of(context):
        lacked = [_lacked(mesh, call.caller, method) for method in methods]
        if not all(lacked):
            continue  # of all methods of a service, those that it may call are enough
        for method, roles in zip(methods, lacked, strict=True):
            yield Hit(
                f"{call.caller} calls {method.name} and holds none of its roles: "
                f"{', '.join(roles)}",
                f"bind {roles[0]} to {call.caller} in {mesh.path.name}, or drop the call",
                place=call.place,
                subject=method.name,
            )


def _lacked(mesh: LintMesh, caller: str, method: Method) -> Sequence[str]:
    """Roles of which the caller would need one and can have none, () when there are none."""
    access = method.policy.access
    held = mesh.roles_of(caller)
    takes_user = access.end_user in (pb.END_USER_OPTIONAL, pb.END_USER_REQUIRED)
    by_user = mesh.roles_of_users if takes_user else frozenset[str]()
    if access.roles and (held | by_user).isdisjoint(access.roles):
        return access.roles
    if access.workload_roles and held.isdisjoint(access.workload_roles):
        return access.workload_roles
    return ()


RULE = LintRule(
    id="MP203",
    name="caller-admitted",
    summary="Every caller that mesh.yaml declares holds the roles that its calls demand.",
    why="such a call is refused from the first one on",
    needs_mesh=True,
    whole=_find,
)
