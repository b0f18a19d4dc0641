"""MP134: a request_id is a UUID."""

from __future__ import annotations

from typing import Final

from lint.cases import Case, inbound

FOUND = "a request_id of any text is taken"

CASES: Final = (
    Case("a request_id of any text is found", inbound("@@string request_id = 1;"), (FOUND,)),
    Case(
        "a UUID is right",
        inbound("string request_id = 1 [(buf.validate.field).string.uuid = true];"),
    ),
    Case(
        "a bound alone makes no UUID",
        inbound("@@string request_id = 1 [(buf.validate.field).string.max_len = 36];"),
        (FOUND,),
    ),
    Case("a number is another rule's", inbound("int64 request_id = 1;")),
    Case("what no caller sends may be any", "message Shop { string request_id = 1; }"),
    Case("the ID of a thing may be any", inbound("string order_request_id = 1;")),
)
