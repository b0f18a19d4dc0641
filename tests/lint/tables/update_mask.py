"""MP142: an Update method takes a mask of the fields that it changes."""

from __future__ import annotations

from typing import Final

from lint.cases import Case, method

SHOP = "message Shop {}"
MASK = "google.protobuf.FieldMask update_mask = 2;"

CASES: Final = (
    Case("a mask is right", method("UpdateShop", request=f"Shop shop = 1; {MASK}") + SHOP),
    Case(
        "an Update without one is found",
        method("UpdateShop", request="Shop shop = 1;", before="@@") + SHOP,
        ("UpdateShopRequest has no update_mask",),
    ),
    Case(
        "a mask of another type is found",
        method("UpdateShop", request="Shop shop = 1; repeated string update_mask = 2;", before="@@")
        + SHOP,
        ("the update_mask of UpdateShopRequest is no google.protobuf.FieldMask",),
    ),
    Case(
        "several masks are found",
        method("UpdateShop", request=f"Shop shop = 1; repeated {MASK}", before="@@") + SHOP,
        ("the update_mask of UpdateShopRequest is no google.protobuf.FieldMask",),
    ),
    Case("an Update of plain values needs none", method("UpdatePrice", request="int64 pence = 1;")),
    Case("a Change needs none", method("ChangeShop", request="Shop shop = 1;") + SHOP),
)
