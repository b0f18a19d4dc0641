"""MP193: a message of which there are many is named in the singular (AIP-123)."""

from __future__ import annotations

from meshpact.contracts.lint.model import Context, Hit, Hits, LintRule, Message
from meshpact.contracts.lint.plurals import must_be_plural


def _find(context: Context, message: Message) -> Hits:
    name = message.proto.name
    if must_be_plural(name) and f".{message.name}" in context.repeated_types:
        yield Hit(
            f"{name} is one of several and named in the plural",
            "name it in the singular; the repeated field that holds it is in the plural",
        )


RULE = LintRule(
    id="MP193",
    name="resource-singular",
    summary="A message that stands in a repeated field is named in the singular (AIP-123).",
    why="one of them is not several, and the field that holds several could not be told from it",
    message=_find,
)
