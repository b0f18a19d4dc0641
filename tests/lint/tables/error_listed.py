"""MP151: every error is listed by a method."""

from __future__ import annotations

from typing import Final

from lint.cases import WHOLE, Case, method


def _errors(mark: str) -> str:
    return (
        'enum ShopError {\noption (meshpact.policy.v1.errors).domain = "PACKAGE";\n'
        "SHOP_ERROR_UNSPECIFIED = 0;\n"
        f"{mark}SHOP_ERROR_GONE = 1 [(meshpact.policy.v1.error) = "
        '{ code: CODE_NOT_FOUND message: "Gone." }];\n}\n'
    )


WITH_ERRORS = WHOLE + ' errors: "GONE"'

CASES: Final = (
    Case("a listed error is right", method("Get", 'errors: "GONE"') + _errors("")),
    Case(
        "one that the service lists is right",
        method("Get", service=WITH_ERRORS) + _errors(""),
    ),
    Case(
        "one listed by its full name is right",
        method("Get", 'errors: "PACKAGE.SHOP_ERROR_GONE"') + _errors(""),
    ),
    Case(
        "one that nobody lists is found",
        method("Get") + _errors("@@"),
        ("no method lists the error GONE",),
    ),
    Case(
        "an enum that is no list of errors is not looked at",
        method("Get") + "enum Kind { KIND_UNSPECIFIED = 0; }",
    ),
)
