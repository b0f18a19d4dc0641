"""MP161: everything in a contract has a comment."""

from __future__ import annotations

from typing import Final

from lint.cases import WHOLE, Case

NONE = "it has no comment"


def _service(above: str) -> str:
    return (
        "// Sells things.\nservice ShopService {\n"
        f"option (meshpact.policy.v1.service) = {{ {WHOLE} }};\n"
        f"{above}rpc Get(Empty) returns (Empty);\n}}\n// Nothing at all.\nmessage Empty {{}}\n"
    )


CASES: Final = (
    Case("all commented is right", _service("// Gets it.\n")),
    Case("a method without is found", _service("@@"), (NONE,)),
    Case(
        "a service without is found",
        _service("// Gets it.\n").replace("// Sells things.\n", "@@"),
        (NONE,),
    ),
    Case("a message without is found", "@@message Shop {}", (NONE,)),
    Case("a field without is found", "// A shop.\nmessage Shop { @@int32 size = 1; }", (NONE,)),
    Case(
        "a comment behind it is one",
        "// A shop.\nmessage Shop { int32 size = 1; // In square metres.\n}",
    ),
    Case(
        "a comment set apart is none",
        "// A shop.\nmessage Shop {\n// Apart.\n\n@@int32 size = 1;\n}",
        (NONE,),
    ),
    Case(
        "a line to a tool is none",
        "// A shop.\nmessage Shop {\n// buf:lint:ignore ENUM_ZERO_VALUE\n@@int32 size = 1;\n}",
        (NONE,),
    ),
    Case("an enum and its values", "@@enum Kind { @@KIND_UNSPECIFIED = 0; }", (NONE, NONE)),
    Case(
        "what is inside a message",
        "// A shop.\nmessage Shop {\n@@message Till { @@int32 number = 1; }\n@@enum Kind {\n"
        "// Not said.\nKIND_UNSPECIFIED = 0; }\n}",
        (NONE, NONE, NONE),
    ),
    Case(
        "a oneof without is found",
        "// A shop.\nmessage Shop {\n@@oneof place {\n// Its street.\nint32 street = 1;\n}\n}",
        (NONE,),
    ),
    Case(
        "an optional field makes no oneof of its own",
        "// A shop.\nmessage Shop {\n// In square metres.\noptional int32 size = 1;\n}",
    ),
    Case(
        "the entries of a map are no messages of the author",
        "// A shop.\nmessage Shop {\n// Tills by number.\nmap<int32, int32> tills = 1;\n}",
    ),
)
