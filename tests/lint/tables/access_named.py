"""MP111: access names a role or a scope."""

from __future__ import annotations

from typing import Final

from lint.cases import Case, method

ANY = "any end user of any issuer may call, through any workload"
REST = "deadline: { default: { seconds: 1 } max: { seconds: 5 } } audit: { level: AUDIT_LEVEL_ALL }"

CASES: Final = (
    Case("a role is enough", method("Get", 'access: { roles: "a" }')),
    Case(
        "an end user alone is found",
        method("Get", "@@access: { end_user: END_USER_REQUIRED }"),
        (ANY,),
    ),
    Case(
        "an end user with a scope is right",
        method("Get", 'access: { end_user: END_USER_REQUIRED scopes: "read" }'),
    ),
    Case(
        "an end user with a role of users is right",
        method("Get", 'access: { end_user: END_USER_REQUIRED user_roles: "a" }'),
    ),
    Case(
        "an end user through workloads of a role is right",
        method("Get", 'access: { end_user: END_USER_REQUIRED workload_roles: "a" }'),
    ),
    Case(
        "an open door is another matter",
        method("Get", 'access: { unauthenticated: { reason: "public price list" } }'),
    ),
    Case(
        "what all methods inherit is found once, at the service",
        method("Get", service="@@access: { end_user: END_USER_REQUIRED } " + REST),
        (ANY,),
    ),
)
