"""MP143: what has a part of AIP-158's pages has all of it, and under the same names."""

from __future__ import annotations

from typing import Final

from meshpact.contracts.lint.model import Context, Hit, Hits, LintRule
from meshpact.contracts.lint.prose import words
from meshpact.contracts.lint.rules.list_paged import lists
from meshpact.contracts.model import Method

_ASKED: Final = frozenset(words("page_size page_token"))
_TOLD: Final = "next_page_token"
OTHERS: Final = frozenset(
    words(
        "page_number page_no page_index page_offset page_limit per_page items_per_page "
        "max_page_size results_per_page next_cursor next_token continuation_token has_more "
        "has_next has_next_page next_page prev_page_token previous_page_token"
    )
)
"""Names of pages of another shape."""


def _find(context: Context, method: Method) -> Hits:
    proto = method.proto
    if proto.server_streaming or proto.client_streaming:
        return
    request, response = context.request_of(method), context.response_of(method)
    asked = {field.name for field in request.field}
    told = {field.name for field in response.field}
    if others := sorted((asked | told) & OTHERS):
        yield Hit(
            f"its pages go by {', '.join(others)}",
            "let them go by page_size and page_token, answered with next_page_token",
        )
    elif not (asked & _ASKED or _TOLD in told) or method.policy.HasField("pagination"):
        return
    elif not lists(context, method):  # else MP141 says so
        found = sorted(asked & _ASKED) + [_TOLD] * (_TOLD in told)
        yield Hit(
            f"it has {', '.join(found)} and no pages",
            "have page_size, page_token and next_page_token, and add pagination: { default_size: "
            "50 max_size: 500 } to the policy",
        )


RULE = LintRule(
    id="MP143",
    name="page-whole",
    summary="Pages have one shape: page_size, page_token, next_page_token, pagination (AIP-158).",
    why="who can read the pages of one method can read those of all, with one helper",
    method=_find,
)
