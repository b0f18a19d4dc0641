"""MP133: a method whose name says that it changes something is not marked as a read."""

from __future__ import annotations

from typing import Final

from lint.cases import Case, method

FOUND = "its name says that it changes something, and it is marked as a read"
READ = "option idempotency_level = NO_SIDE_EFFECTS;"

CASES: Final = (
    Case("a Delete without a mark is right", method("DeleteOrder")),
    Case(
        "a Delete marked as a read is found",
        method("DeleteOrder", options=READ, before="@@"),
        (FOUND,),
    ),
    Case("so is a BatchUpdate", method("BatchUpdateOrders", options=READ, before="@@"), (FOUND,)),
    Case(
        "one marked as idempotent is right",
        method("DeleteOrder", options="option idempotency_level = IDEMPOTENT;"),
    ),
    Case("a Get marked as a read is right", method("GetOrder", options=READ)),
    Case("a verb that only begins like one is none", method("Settle", options=READ)),
)
