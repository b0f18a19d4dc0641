"""MP101: every method has a whole policy that does not contradict itself."""

from __future__ import annotations

from typing import Final

from lint.cases import Case, method

CASES: Final = (
    Case("a whole policy on the service is enough", method("Get")),
    Case(
        "a method without access is found, at the method",
        method(
            "Get",
            service="deadline: {default: {seconds: 1}} audit: {level: AUDIT_LEVEL_ALL}",
            before="@@",
        ),
        ("no access is stated",),
    ),
    Case(
        "a method without any policy is found once for each part",
        method("Get", service="", before="@@@@@@"),
        ("no access is stated", "no audit level is stated", "no default deadline is stated"),
    ),
    Case(
        "an empty access is found where it stands",
        method("Get", "@@access: {}"),
        ("access is empty: it names no role and demands no end user",),
    ),
    Case(
        "an open door without a reason is found",
        method("Get", 'access: { @@unauthenticated: { reason: " " } }'),
        ("unauthenticated has no reason",),
    ),
    Case(
        "a maximum below the default is found",
        method("Get", "deadline: { default: { seconds: 2 } @@max: { seconds: 1 } }"),
        ("the maximum deadline (1 s) is less than the default (2 s)",),
    ),
    Case(
        "an error that is listed and not there is found",
        method("Get", '@@errors: "GONE"'),
        ("there is no error 'GONE'",),
    ),
    Case(
        "retries of a method that is not idempotent are found",
        method("Get", "@@retries: { max_attempts: 3 }"),
        ("a method that is not idempotent is tried again",),
    ),
    Case(
        "pages of a request without page_size are found",
        method(
            "ListShops",
            "@@pagination: { default_size: 5 max_size: 5 }",
            request="string page_token = 1;",
            response="repeated int32 shops = 1; string next_page_token = 2;",
        ),
        ("ListShopsRequest has no field int32 page_size (AIP-158)",),
    ),
)
