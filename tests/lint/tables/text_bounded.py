"""MP171: strings and bytes that callers send have a longest form."""

from __future__ import annotations

from typing import Final

from lint.cases import Case, inbound, method

ANY = "it may be of any length"
EACH = "each of its texts may be of any length"
KEYS = "its keys may be of any length"
VALUES = "its values may be of any length"


def _string(rule: str, mark: str = "") -> str:
    return inbound(f"{mark}string name = 1 [(buf.validate.field).{rule}];")


CASES: Final = (
    Case("a string without rules is found", inbound("@@string name = 1;"), (ANY,)),
    Case("a largest length bounds it", _string("string.max_len = 80")),
    Case("largest bytes bound it", _string("string.max_bytes = 80")),
    Case("an exact length bounds it", _string("string.len = 8")),
    Case("a list of values bounds it", _string('string = { in: ["a", "b"] }')),
    Case("one value bounds it", _string('string.const = "a"')),
    Case("a least length does not", _string("string.min_len = 1", "@@"), (ANY,)),
    Case("being required does not", _string("required = true", "@@"), (ANY,)),
    Case("a uuid is bounded", _string("string.uuid = true")),
    Case("an address is bounded", _string("string.ip = true")),
    Case("a host name is bounded", _string("string.hostname = true")),
    Case("an e-mail address is not", _string("string.email = true", "@@"), (ANY,)),
    Case("a URI is not", _string("string.uri = true", "@@"), (ANY,)),
    Case("a pattern from end to end bounds it", _string('string.pattern = "^[a-z]{1,20}$"')),
    Case("a pattern with a star does not", _string('string.pattern = "^[a-z]*$"', "@@"), (ANY,)),
    Case("a star in a class is no star", _string('string.pattern = "^[*+a-z]{2}$"')),
    Case("an escaped plus is no plus", _string('string.pattern = "^\\\\+[0-9]{1,15}$"')),
    Case(
        "a pattern without ends does not", _string('string.pattern = "[a-z]{1,20}"', "@@"), (ANY,)
    ),
    Case(
        "a pattern of a least number does not", _string('string.pattern = "^a{2,}$"', "@@"), (ANY,)
    ),
    Case("ends of one branch only do not", _string('string.pattern = "^a|b$"', "@@"), (ANY,)),
    Case("branches inside ends do", _string('string.pattern = "^(a|b)$"')),
    Case(
        "an expression about the size bounds it",
        _string('cel = { id: "n" message: "long" expression: "this.size() < 9" }'),
    ),
    Case(
        "an expression about the size on the message bounds it",
        inbound(
            'option (buf.validate.message).cel = { id: "n" message: "long" '
            'expression: "this.name.size() < 9" };\nstring name = 1;\n@@string other = 2;'
        ),
        (ANY,),
    ),
    Case(
        "rules that are ignored bound nothing",
        inbound(
            "@@string name = 1 [(buf.validate.field) = { string: { max_len: 9 } "
            "ignore: IGNORE_ALWAYS }];"
        ),
        (ANY,),
    ),
    Case("bytes without rules are found", inbound("@@bytes data = 1;"), (ANY,)),
    Case(
        "bytes with a length are right",
        inbound("bytes data = 1 [(buf.validate.field).bytes.max_len = 9];"),
    ),
    Case("a number needs no bound", inbound("int64 size = 1;")),
    Case("what only goes out is not looked at", method("Get", response="string name = 1;")),
    Case("a message that nobody sends is not looked at", "message Shop { string name = 1; }"),
    Case(
        "what is deep inside a request is looked at",
        inbound(
            "Till till = 1;",
            "message Till { Drawer drawer = 1; } message Drawer {\n@@string name = 1;\n}",
        ),
        (ANY,),
    ),
    Case(
        "messages inside each other end",
        inbound("Tree tree = 1;", "message Tree { repeated Tree trees = 1;\n@@string name = 2;\n}"),
        (ANY,),
    ),
    Case(
        "each text of a list needs a bound",
        inbound("@@repeated string names = 1 [(buf.validate.field).repeated.max_items = 5];"),
        (EACH,),
    ),
    Case(
        "a list of bounded texts is right",
        inbound(
            "repeated string names = 1 [(buf.validate.field).repeated = { max_items: 5 "
            "items: { string: { max_len: 9 } } }];"
        ),
    ),
    Case("keys and values of a map", inbound("@@@@map<string, string> names = 1;"), (KEYS, VALUES)),
    Case(
        "a map with bounded keys and values is right",
        inbound(
            "map<string, string> names = 1 [(buf.validate.field).map = { max_pairs: 2 "
            "keys: { string: { max_len: 9 } } values: { string: { max_len: 9 } } }];"
        ),
    ),
    Case(
        "keys that are numbers need no bound", inbound("@@map<int32, string> names = 1;"), (VALUES,)
    ),
)
