"""MP172: repeated fields and maps that callers send have a largest size."""

from __future__ import annotations

from typing import Final

from lint.cases import Case, inbound, method

ANY = "it may hold any number of entries"

CASES: Final = (
    Case("a list without a largest size is found", inbound("@@repeated int32 sizes = 1;"), (ANY,)),
    Case(
        "one with it is right",
        inbound("repeated int32 sizes = 1 [(buf.validate.field).repeated.max_items = 9];"),
    ),
    Case(
        "a least size is none",
        inbound("@@repeated int32 sizes = 1 [(buf.validate.field).repeated.min_items = 1];"),
        (ANY,),
    ),
    Case(
        "a list of messages is one, too",
        inbound("@@repeated Till tills = 1;", "message Till {}"),
        (ANY,),
    ),
    Case(
        "a map without a largest size is found", inbound("@@map<int32, int32> tills = 1;"), (ANY,)
    ),
    Case(
        "one with it is right, too",
        inbound("map<int32, int32> tills = 1 [(buf.validate.field).map.max_pairs = 9];"),
    ),
    Case(
        "an expression about the size bounds it",
        inbound(
            'repeated int32 sizes = 1 [(buf.validate.field).cel = { id: "n" message: "many" '
            'expression: "this.size() < 9" }];'
        ),
    ),
    Case(
        "an expression on the message bounds it",
        inbound(
            'option (buf.validate.message).cel = { id: "n" message: "many" '
            'expression: "size(this.sizes) < 9" };\nrepeated int32 sizes = 1;'
        ),
    ),
    Case(
        "a list that goes out is not looked at", method("Get", response="repeated int32 sizes = 1;")
    ),
    Case("a single value is none", inbound("int32 size = 1;")),
)
