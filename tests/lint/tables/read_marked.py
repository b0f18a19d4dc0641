"""MP132: a method whose name says that it reads is marked so."""

from __future__ import annotations

from typing import Final

from lint.cases import Case, method

FOUND = "its name says that it reads, and it is not marked so"
READ = "option idempotency_level = NO_SIDE_EFFECTS;"

CASES: Final = (
    Case("a marked Get is right", method("GetOrder", options=READ)),
    Case("a Get without a mark is found", method("GetOrder", before="@@"), (FOUND,)),
    Case(
        "a Get marked as idempotent only is found",
        method("GetOrder", options="option idempotency_level = IDEMPOTENT;", before="@@"),
        (FOUND,),
    ),
    Case("a BatchGet is a read, too", method("BatchGetOrders", before="@@"), (FOUND,)),
    Case("so is a stream", method("WatchOrders", streams=("", "stream "), before="@@"), (FOUND,)),
    Case("a verb that only begins like one is none", method("Liste")),
    Case("Place is no read", method("PlaceOrder")),
)
