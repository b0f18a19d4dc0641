"""MP201: every role that a contract names is one of the mesh."""

from __future__ import annotations

from typing import Final

from lint.cases import Case, method

MESH = """
trust_domain: shop.example
roles:
  shop.reader: { workloads: ["spiffe://shop.example/till"] }
"""

CASES: Final = (
    Case("a role of the mesh is right", method("Get"), mesh=MESH),
    Case(
        "a role that is not there is found",
        method("Get", 'access: { @@roles: "shop.raeder" }'),
        ("mesh.yaml has no role 'shop.raeder'",),
        mesh=MESH,
    ),
    Case(
        "a role of workloads is looked at, too",
        method("Get", 'access: { roles: "shop.reader" @@workload_roles: "gone" }'),
        ("mesh.yaml has no role 'gone'",),
        mesh=MESH,
    ),
    Case(
        "a role of users is looked at, too",
        method("Get", 'access: { end_user: END_USER_REQUIRED @@user_roles: "gone" }'),
        ("mesh.yaml has no role 'gone'",),
        mesh=MESH,
    ),
    Case("without a mesh no role is known", method("Get", 'access: { roles: "shop.raeder" }')),
)
