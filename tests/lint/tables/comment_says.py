"""MP162: a comment is no placeholder, and says more than the name."""

from __future__ import annotations

from typing import Final

from lint.cases import Case

ECHO = "its comment says nothing but its name"


def _field(comment: str, mark: str = "@@") -> str:
    head = "// Where things are sold.\nmessage Shop {\n"
    return f"{head}// {comment}\n{mark}int32 order_count = 1;\n}}"


CASES: Final = (
    Case("a sentence is right", _field("Orders taken since noon.", "")),
    Case("TODO is a placeholder", _field("TODO"), ("its comment 'TODO' is a placeholder",)),
    Case(
        "so is TODO with words",
        _field("TODO: say what this counts"),
        ("its comment 'TODO: say what this counts' is a placeholder",),
    ),
    Case("so are dots", _field("..."), ("its comment '...' is a placeholder",)),
    Case("the name again says nothing", _field("The order count."), (ECHO,)),
    Case("nor as it is written", _field("order_count"), (ECHO,)),
    Case("the name and more is right", _field("The order count since noon.", "")),
    Case("the name of a message again", "// The shop.\n@@message Shop {}", (ECHO,)),
    Case("a thing without a comment is another rule's", "message Shop {}"),
    Case("words of other scripts count", _field("Aufträge seit Mittag", "")),
)
