"""MP141: a List method has pages."""

from __future__ import annotations

from typing import Final

from lint.cases import Case, method

FOUND = "it lists without pages"
ITEMS = "repeated int32 shops = 1;"

CASES: Final = (
    Case(
        "a List without pages is found", method("ListShops", response=ITEMS, before="@@"), (FOUND,)
    ),
    Case(
        "a List with pages is right",
        method(
            "ListShops",
            "pagination: { default_size: 5 max_size: 50 }",
            request="int32 page_size = 1; string page_token = 2;",
            response=ITEMS + " string next_page_token = 2;",
        ),
    ),
    Case("a Search is one, too", method("SearchShops", response=ITEMS, before="@@"), (FOUND,)),
    Case("a stream needs none", method("ListShops", response=ITEMS, streams=("", "stream "))),
    Case("an answer without a list has none", method("ListShops", response="int32 count = 1;")),
    Case("a Get may answer with a list", method("GetShops", response=ITEMS)),
    Case("a verb that only begins like one is none", method("Listen", response=ITEMS)),
    Case(
        "page_size alone makes no pages",
        method("ListShops", request="int32 page_size = 1;", response=ITEMS, before="@@"),
        (FOUND,),
    ),
)
