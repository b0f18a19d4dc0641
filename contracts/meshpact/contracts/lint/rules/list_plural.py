"""MP192: methods that answer with several things are named in the plural (AIP-132, AIP-231)."""

from __future__ import annotations

import re
from typing import Final

from meshpact.contracts.lint.model import Context, Hit, Hits, LintRule
from meshpact.contracts.lint.plurals import may_be_plural
from meshpact.contracts.model import Method

_SEVERAL: Final = re.compile(r"(?:List|Batch(?:Get|Create|Update|Delete))(?=[A-Z0-9])(?!By[A-Z])")


def _find(context: Context, method: Method) -> Hits:
    match = _SEVERAL.match(method.proto.name)
    if match and not may_be_plural(method.proto.name[match.end() :]):
        yield Hit("it is of several and named in the singular", "name it in the plural")


RULE = LintRule(
    id="MP192",
    name="list-plural",
    summary="List and Batch methods are named in the plural: ListOrders (AIP-132, AIP-231).",
    why="callers tell the method of one thing from that of many by its name",
    method=_find,
)
