"""MP112: a method's own access still names a role, where its service's names one."""

from __future__ import annotations

from typing import Final

from lint.cases import Case, method

OPEN = "access: { end_user: END_USER_REQUIRED }"
REST = "deadline: { default: { seconds: 1 } max: { seconds: 5 } } audit: { level: AUDIT_LEVEL_ALL }"
GONE = (
    'its own access replaces the service\'s whole, and no role is demanded any more ("shop.reader")'
)

CASES: Final = (
    Case("an inherited access is right", method("Get")),
    Case(
        "a role that is not repeated is found",
        method("Get", '@@access: { end_user: END_USER_REQUIRED scopes: "read" }'),
        (GONE,),
    ),
    Case("another role is right", method("Get", 'access: { roles: "shop.writer" }')),
    Case(
        "a role of workloads instead is right",
        method("Get", 'access: { workload_roles: "shop.writer" }'),
    ),
    Case(
        "an open door says so itself",
        method("Get", 'access: { unauthenticated: { reason: "public price list" } }'),
    ),
    Case(
        "a service without roles loses none",
        method(
            "Get", 'access: { end_user: END_USER_REQUIRED scopes: "a" }', service=f"{OPEN} {REST}"
        ),
    ),
)
