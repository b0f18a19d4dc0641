"""MP143: pages have one shape."""

from __future__ import annotations

from typing import Final

from lint.cases import Case, method

PAGES = "pagination: { default_size: 5 max_size: 50 }"
ASKED = "int32 page_size = 1; string page_token = 2;"
ITEMS = "repeated int32 shops = 1;"
TOLD = ITEMS + " string next_page_token = 2;"

CASES: Final = (
    Case("whole pages are right", method("FindShops", PAGES, request=ASKED, response=TOLD)),
    Case(
        "a page_size alone is found",
        method("FindShops", request="int32 page_size = 1;", response=ITEMS, before="@@"),
        ("it has page_size and no pages",),
    ),
    Case(
        "all three without a policy are found",
        method("FindShops", request=ASKED, response=TOLD, before="@@"),
        ("it has page_size, page_token, next_page_token and no pages",),
    ),
    Case(
        "pages by number are found",
        method("FindShops", request="int32 page_number = 1;", response=ITEMS, before="@@"),
        ("its pages go by page_number",),
    ),
    Case(
        "other names beside the right ones are found",
        method(
            "FindShops",
            PAGES,
            request=ASKED,
            response=TOLD + " bool has_more = 3;",
            before="@@",
        ),
        ("its pages go by has_more",),
    ),
    Case(
        "a List with a list and without pages is another rule's",
        method("ListShops", request="int32 page_size = 1;", response=ITEMS),
    ),
    Case("what has no pages at all is right", method("FindShops", response=ITEMS)),
    Case(
        "the pages of a book are none",
        method("FindShops", request="int32 page = 1;", response="int32 page_count = 1;"),
    ),
    Case(
        "a stream has none",
        method("FindShops", request="int32 page_size = 1;", streams=("", "stream ")),
    ),
)
