"""MP201: every role that a contract names is one of the mesh."""

from __future__ import annotations

from meshpact.contracts.lint.model import Context, Hit, Hits, LintRule
from meshpact.contracts.model import Method
from meshpact.mesh.reader import closest


def _find(context: Context, method: Method) -> Hits:
    assert context.mesh is not None
    access, known = method.policy.access, context.mesh.config.roles
    for field, roles in (
        ("roles", access.roles),
        ("workload_roles", access.workload_roles),
        ("user_roles", access.user_roles),
    ):
        for role in dict.fromkeys(roles):
            if role not in known:
                near = closest(role, known, f"Add it to roles in {context.mesh.path.name}")
                yield Hit(
                    f"{context.mesh.path.name} has no role {role!r}",
                    near[:1].lower() + near[1:],
                    part=f"access.{field}",
                )


RULE = LintRule(
    id="MP201",
    name="role-bound",
    summary="Every role that a contract names is one of mesh.yaml.",
    why="a role that nobody can hold shuts everybody out",
    needs_mesh=True,
    method=_find,
)
