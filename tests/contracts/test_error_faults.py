"""An error enum that leaves something out does not generate: each fault, and its exact place."""

from __future__ import annotations

from pathlib import Path

import pytest

import contractfiles
from meshpact.contracts.check import check
from meshpact.contracts.faults import ContractsError
from meshpact.contracts.image import compile_image
from meshpact.contracts.model import Contracts

ENUM = "shop.v1.ShopError"


def enum(value: str = "", domain: str = '"shop.example"', before: str = "") -> str:
    """The error enum ShopError with one value beside the zero."""
    option = f"option (meshpact.policy.v1.errors).domain = {domain};"
    return f"{before}enum ShopError {{\n  {option}\n  SHOP_ERROR_UNSPECIFIED = 0;\n  {value}\n}}\n"


def error(option: str, name: str = "SHOP_ERROR_GONE") -> str:
    """A value with the inside of its option's braces."""
    return f"{name} = 1 [(meshpact.policy.v1.error) = {{{option}}}];"


WHOLE = 'code: CODE_NOT_FOUND message: "Gone."'
GONE = "shop.v1.SHOP_ERROR_GONE"
CASES: dict[str, tuple[str, str, str, str]] = {
    "an enum without a domain": (
        enum(error(WHOLE)).replace(
            'option (meshpact.policy.v1.errors).domain = "shop.example";',
            "@@option (meshpact.policy.v1.errors) = {};",
        ),
        ENUM,
        "the error enum has no domain",
        'add option (meshpact.policy.v1.errors).domain = "name.of.your.organization"',
    ),
    "a domain that is no name": (
        enum(error(WHOLE), '"Shop Example"').replace("option (", "@@option (", 1),
        ENUM,
        "'Shop Example' is not a domain for errors",
        "write a lower-case DNS name that your organization owns, such as "
        "inventory.acme.example (meshpact itself is taken)",
    ),
    "Meshpact's own domain": (
        enum(error(WHOLE), '"meshpact"').replace("option (", "@@option (", 1),
        ENUM,
        "'meshpact' is not a domain for errors",
        "write a lower-case DNS name that your organization owns, such as "
        "inventory.acme.example (meshpact itself is taken)",
    ),
    "an enum without errors": (
        enum().replace("option (", "@@option (", 1),
        ENUM,
        "the error enum has no error",
        "add a value, such as SHOP_ERROR_NOT_FOUND = 1",
    ),
    "an error without a code": (
        enum("SHOP_ERROR_GONE = 1 [@@" + error('message: "x"').partition("[")[2]),
        GONE,
        "the error has no status code",
        'add [(meshpact.policy.v1.error) = { code: CODE_FAILED_PRECONDITION message: "..." }]',
    ),
    "an error without a message": (
        enum("SHOP_ERROR_GONE = 1 [@@" + error("code: CODE_ABORTED").partition("[")[2]),
        GONE,
        "the error has no message",
        'say what people read: message: "..."',
    ),
    "a name without the enum's prefix": (
        enum("@@" + error(WHOLE, "GONE")),
        "shop.v1.GONE",
        "the name does not start with SHOP_ERROR_",
        "call it SHOP_ERROR_GONE (the reason is what follows the prefix)",
    ),
    "a reason of two letters": (
        enum("@@" + error(WHOLE, "SHOP_ERROR_NO")),
        "shop.v1.SHOP_ERROR_NO",
        "its reason 'NO' is not upper snake case of 3 to 63 characters (AIP-193)",
        "rename it: SHOP_ERROR_ and then upper-case letters, digits and underscores, a letter "
        "first and no underscore last",
    ),
    "a reason in lower case": (
        enum("@@" + error(WHOLE, "SHOP_ERROR_Gone")),
        "shop.v1.SHOP_ERROR_Gone",
        "its reason 'Gone' is not upper snake case of 3 to 63 characters (AIP-193)",
        "rename it: SHOP_ERROR_ and then upper-case letters, digits and underscores, a letter "
        "first and no underscore last",
    ),
    "a reason that is too long": (
        enum("@@" + error(WHOLE, "SHOP_ERROR_" + "A" * 64)),
        "shop.v1.SHOP_ERROR_" + "A" * 64,
        f"its reason {'A' * 64!r} is not upper snake case of 3 to 63 characters (AIP-193)",
        "rename it: SHOP_ERROR_ and then upper-case letters, digits and underscores, a letter "
        "first and no underscore last",
    ),
    "a place in the message without metadata": (
        enum(error('code: CODE_ABORTED @@message: "No {sku} of {shop}" metadata: "shop"')),
        GONE,
        "{sku} in the message is not in metadata",
        'add it: metadata: ["shop", "sku"]',
    ),
    "a place in the message with a format": (
        enum(error('code: CODE_ABORTED @@message: "{sku:>9}" metadata: "sku"')),
        GONE,
        "{sku:>9} in the message is not the name of a metadata key",
        "write {key} with a key alone, {{ and }} for braces themselves",
    ),
    "an empty place in the message": (
        enum(error('code: CODE_ABORTED @@message: "{}"')),
        GONE,
        "{} in the message is not the name of a metadata key",
        "write {key} with a key alone, {{ and }} for braces themselves",
    ),
    "a brace without a partner": (
        enum(error('code: CODE_ABORTED @@message: "{sku"')),
        GONE,
        "a brace in the message has no partner",
        "write {key} for metadata, {{ and }} for braces themselves",
    ),
    "a metadata key in camel case": (
        enum(error(WHOLE + ' metadata: ["sku", @@"requestId"]')),
        GONE,
        "'requestId' is not a metadata key",
        "write lower snake case, at most 64 characters, such as request_id",
    ),
    "a metadata key twice": (
        enum(error(WHOLE + ' metadata: [@@"sku", "sku"]')),
        GONE,
        "the metadata key 'sku' is listed twice",
        "list it once",
    ),
    "an error that is the value zero": (
        enum(error(WHOLE)).replace(
            "SHOP_ERROR_UNSPECIFIED = 0;",
            "@@SHOP_ERROR_UNSPECIFIED = 0 [(meshpact.policy.v1.error).code = CODE_ABORTED];",
        ),
        "shop.v1.SHOP_ERROR_UNSPECIFIED",
        "the value 0 is no error",
        "drop (meshpact.policy.v1.error) from it",
    ),
    "an error in an enum that lists none": (
        "enum Colour {\n  COLOUR_UNSPECIFIED = 0;\n  @@" + error(WHOLE, "COLOUR_RED") + "\n}\n",
        "shop.v1.COLOUR_RED",
        "it has (meshpact.policy.v1.error), but its enum is no error enum",
        'add option (meshpact.policy.v1.errors).domain = "..." to the enum',
    ),
    "an error in an enum inside a message": (
        "message Box {\n" + enum("@@" + error(WHOLE, "SHOP_ERROR_NO")) + "}\n",
        "shop.v1.Box.SHOP_ERROR_NO",
        "its reason 'NO' is not upper snake case of 3 to 63 characters (AIP-193)",
        "rename it: SHOP_ERROR_ and then upper-case letters, digits and underscores, a letter "
        "first and no underscore last",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_faulty_error_is_told_with_its_place_and_remedy(name: str, tmp_path: Path) -> None:
    body, subject, message, remedy = CASES[name]
    file, line, column = contractfiles.contract(tmp_path, body)
    assert line, "the case has no mark"
    with pytest.raises(ContractsError) as caught:
        check(Contracts(compile_image([tmp_path])))
    assert [
        (f.place.file, f.place.line, f.place.column, f.subject, f.message, f.remedy)
        for f in caught.value.faults
    ] == [(str(file), line, column, subject, message, remedy)]


def test_a_bare_value_of_an_error_enum_lacks_both_code_and_message(tmp_path: Path) -> None:
    contractfiles.contract(tmp_path, enum("SHOP_ERROR_GONE = 1;"))
    with pytest.raises(ContractsError) as caught:
        check(Contracts(compile_image([tmp_path])))
    assert [(f.place.line, f.place.column, f.message) for f in caught.value.faults] == [
        (13, 3, "the error has no message"),
        (13, 3, "the error has no status code"),
    ]
