"""MP102: every error has a domain, a reason, a code, words, and the metadata that they use."""

from __future__ import annotations

from typing import Final

from lint.cases import Case


def _enum(value: str, domain: str = '= "shop.example"') -> str:
    option = f"option (meshpact.policy.v1.errors).domain {domain};" if domain else ""
    return f"enum ShopError {{\n{option}\nSHOP_ERROR_UNSPECIFIED = 0;\n{value}\n}}\n"


def _error(inside: str) -> str:
    return f"SHOP_ERROR_GONE = 1 [(meshpact.policy.v1.error) = {{ {inside} }}];"


CASES: Final = (
    Case(
        "an error with all it needs is right",
        _enum(_error('code: CODE_NOT_FOUND message: "No {name}." metadata: "name"')),
    ),
    Case(
        "a domain that is no name in the DNS is found",
        _enum(_error('code: CODE_NOT_FOUND message: "No."'), '@@= "Shop Errors"')
        .replace("option", "@@option")
        .replace("domain @@", "domain "),
        ("'Shop Errors' is not a domain for errors",),
    ),
    Case(
        "metadata that the message uses and does not declare is found",
        _enum(_error('code: CODE_NOT_FOUND @@message: "No {name}."')),
        ("{name} in the message is not in metadata",),
    ),
    Case(
        "a metadata key that is not lower snake case is found",
        _enum(_error('code: CODE_NOT_FOUND message: "No." @@metadata: "theName"')),
        ("'theName' is not a metadata key",),
    ),
    Case(
        "an error without a code is found",
        _enum('SHOP_ERROR_GONE = 1 [@@(meshpact.policy.v1.error) = { message: "No." }];'),
        ("the error has no status code",),
    ),
    Case(
        "a value without the prefix of its enum is found",
        _enum('@@GONE = 1 [(meshpact.policy.v1.error) = { code: CODE_NOT_FOUND message: "No." }];'),
        ("the name does not start with SHOP_ERROR_",),
    ),
)
