"""MP192: methods that answer with several things are named in the plural."""

from __future__ import annotations

from typing import Final

from lint.cases import Case, method

FOUND = "it is of several and named in the singular"

CASES: Final = (
    Case("a List of one is found", method("ListOrder", before="@@"), (FOUND,)),
    Case("a batch of one is found", method("BatchGetOrder", before="@@"), (FOUND,)),
    Case("a List of many is right", method("ListOrders")),
    Case("a batch of many is right", method("BatchGetOrders")),
    Case("words of one form are right", method("ListStock")),
    Case("so are series", method("ListSeries")),
    Case("addresses are many", method("ListAddresses")),
    Case("the plural may stand inside", method("ListOrdersByCustomer")),
    Case("a List without a noun is right", method("List")),
    Case("a List by something is right", method("ListByOwner")),
    Case("a verb that only begins like one is none", method("ListenToOrder")),
    Case("a Get of one is right", method("GetOrder")),
)
