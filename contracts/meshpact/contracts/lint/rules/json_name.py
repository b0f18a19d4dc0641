"""MP182: the JSON names of fields are those that protobuf gives them."""

from __future__ import annotations

from meshpact.contracts.lint.model import Context, Field, Hit, Hits, LintRule

_JSON_NAME = 10


def canonical(name: str) -> str:
    """The JSON name of a field by ProtoJSON: an underscore goes, the letter after it is raised."""
    first, *others = name.split("_")
    return first + "".join(part[:1].upper() + part[1:] for part in others)


def _find(context: Context, field: Field) -> Hits:
    wanted = canonical(field.proto.name)
    if field.message is not None and field.proto.json_name not in ("", wanted):
        yield Hit(
            f"its JSON name is {field.proto.json_name!r}, not {wanted!r}",
            "drop json_name; where callers of JSON use that name already, rename the field so that "
            "both agree",
            path=(*field.path, _JSON_NAME),
        )


RULE = LintRule(
    id="MP182",
    name="json-name",
    summary="The JSON names of fields are the canonical ones.",
    why="people and tools derive the name in JSON from the name in the contract, and are wrong",
    field=_find,
)
