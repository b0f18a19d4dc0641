"""MP152: a reason stands once in its domain."""

from __future__ import annotations

from typing import Final

from lint.cases import Case


def _enum(name: str, domain: str, mark: str) -> str:
    prefix = {"ShopError": "SHOP_ERROR", "TillError": "TILL_ERROR"}[name]
    return (
        f'enum {name} {{\noption (meshpact.policy.v1.errors).domain = "{domain}";\n'
        f"{prefix}_UNSPECIFIED = 0;\n"
        f"{mark}{prefix}_GONE = 1 [(meshpact.policy.v1.error) = "
        '{ code: CODE_NOT_FOUND message: "Gone." }];\n}\n'
    )


CASES: Final = (
    Case(
        "one reason in two domains is right",
        _enum("ShopError", "shop.PACKAGE", "") + _enum("TillError", "till.PACKAGE", ""),
    ),
    Case(
        "one reason twice in a domain is found at both",
        _enum("ShopError", "PACKAGE", "@@") + _enum("TillError", "PACKAGE", "@@"),
        (
            "PACKAGE.TILL_ERROR_GONE has the reason GONE in the domain PACKAGE, too",
            "PACKAGE.SHOP_ERROR_GONE has the reason GONE in the domain PACKAGE, too",
        ),
    ),
)
