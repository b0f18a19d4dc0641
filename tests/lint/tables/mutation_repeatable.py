"""MP131: a method that changes something can be called again."""

from __future__ import annotations

from typing import Final

from lint.cases import Case, method

IDEMPOTENT = "option idempotency_level = IDEMPOTENT;"
NEITHER = "it is not idempotent, and its request has no request_id"

CASES: Final = (
    Case("an idempotent method is right", method("PlaceOrder", options=IDEMPOTENT)),
    Case("a request_id is enough", method("PlaceOrder", request="string request_id = 1;")),
    Case("neither is found", method("PlaceOrder", before="@@"), (NEITHER,)),
    Case(
        "a request_id that is a number is found",
        method("PlaceOrder", request="int64 request_id = 1;", before="@@"),
        ("the request_id of its request is no string",),
    ),
    Case("a name that says that it reads is another rule's", method("GetOrder")),
    Case("a name that only begins like a read is none", method("Getaway", before="@@"), (NEITHER,)),
    Case(
        "a stream of requests is looked at like one",
        method("PlaceOrders", streams=("stream ", ""), before="@@"),
        (NEITHER,),
    ),
    Case(
        "a conversation is not looked at",
        method("PlaceOrders", streams=("stream ", "stream ")),
    ),
)
