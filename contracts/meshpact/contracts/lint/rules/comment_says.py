"""MP162: a comment is no placeholder, and says more than the name."""

from __future__ import annotations

from meshpact.contracts.findings import Severity
from meshpact.contracts.lint.model import (
    Context,
    Enum,
    Field,
    Hit,
    Hits,
    LintRule,
    Message,
    Oneof,
    Value,
)
from meshpact.contracts.lint.prose import repeats, says_something
from meshpact.contracts.model import Method, Service


def _find(
    context: Context, thing: Service | Method | Message | Field | Oneof | Enum | Value
) -> Hits:
    file = thing.service.file if isinstance(thing, Method) else thing.file
    comment = file.locations.comment(thing.path)
    if not comment:
        return
    if not says_something(comment):
        yield Hit(f"its comment {comment!r} is a placeholder", "say what it is")
        return
    if repeats(comment, thing.proto.name):
        yield Hit("its comment says nothing but its name", "say what the name does not")


RULE = LintRule(
    id="MP162",
    name="comment-says",
    summary="A comment is no placeholder, and says more than the name.",
    why="a comment that says nothing passes for documentation",
    severity=Severity.WARNING,
    service=_find,
    method=_find,
    message=_find,
    field=_find,
    oneof=_find,
    enum=_find,
    value=_find,
)
