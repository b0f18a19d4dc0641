"""Messages as JSON Schema 2020-12: their canonical JSON, with the rules that a schema can say."""

from __future__ import annotations

import re
from typing import Any, Final

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor

from meshpact.contracts.docs.known import Known, is_map, real_oneof

Schema = dict[str, Any]

_FD: Final = FieldDescriptor
_INT32: Final[Schema] = {"type": "integer", "format": "int32"}
_UINT32: Final[Schema] = {"type": "integer", "minimum": 0, "format": "uint32"}
_INT64: Final[Schema] = {"type": "string", "format": "int64", "pattern": "^-?[0-9]+$"}
_UINT64: Final[Schema] = {"type": "string", "format": "uint64", "pattern": "^[0-9]+$"}
_SCALARS: Final[dict[int, Schema]] = {
    _FD.TYPE_DOUBLE: {"type": "number", "format": "double"},
    _FD.TYPE_FLOAT: {"type": "number", "format": "float"},
    _FD.TYPE_BOOL: {"type": "boolean"},
    _FD.TYPE_STRING: {"type": "string"},
    _FD.TYPE_BYTES: {"type": "string", "contentEncoding": "base64"},
    _FD.TYPE_INT32: _INT32,
    _FD.TYPE_SINT32: _INT32,
    _FD.TYPE_SFIXED32: _INT32,
    _FD.TYPE_UINT32: _UINT32,
    _FD.TYPE_FIXED32: _UINT32,
    _FD.TYPE_INT64: _INT64,
    _FD.TYPE_SINT64: _INT64,
    _FD.TYPE_SFIXED64: _INT64,
    _FD.TYPE_UINT64: _UINT64,
    _FD.TYPE_FIXED64: _UINT64,
}
"""ProtoJSON writes integers of 64 bits as strings."""

_WELL_KNOWN: Final[dict[str, Schema]] = {
    "Timestamp": {"type": "string", "format": "date-time"},
    "Duration": {"type": "string", "pattern": r"^-?[0-9]+(\.[0-9]{1,9})?s$"},
    "FieldMask": {"type": "string"},
    "Empty": {"type": "object"},
    "Struct": {"type": "object"},
    "Value": {},
    "ListValue": {"type": "array"},
    "Any": {"type": "object", "properties": {"@type": {"type": "string"}}},
}
_FORMATS: Final = {
    "uuid": "uuid",
    "email": "email",
    "hostname": "hostname",
    "ipv4": "ipv4",
    "ipv6": "ipv6",
    "uri": "uri",
    "uri_ref": "uri-reference",
}
_ONLY_RE2: Final = re.compile(r"\\[AzpPQEC]|\(\?[a-zA-Z]|\[\[:|\\x\{")
"""What RE2 has and the regular expressions of JSON Schema (ECMA-262) have not, or mean else."""


class Schemas:
    """Schemas by the full names of types, for `components.schemas`."""

    def __init__(self, known: Known, comments: dict[str, str]) -> None:
        self._known = known
        self._comments = comments
        self.found: dict[str, Schema] = {}

    def reference(self, descriptor: Descriptor) -> Schema:
        """A reference to the schema of a message, which is made if it is not there yet."""
        name = descriptor.full_name
        if descriptor.file.package == "google.protobuf":
            return self._well_known(descriptor)
        if name not in self.found:
            self.found[name] = {}
            self.found[name] = self._message(descriptor)
        return {"$ref": f"#/components/schemas/{name}"}

    def _well_known(self, descriptor: Descriptor) -> Schema:
        if descriptor.name in _WELL_KNOWN:
            return dict(_WELL_KNOWN[descriptor.name])
        if descriptor.name.endswith("Value") and "value" in descriptor.fields_by_name:
            plain = dict(_SCALARS[descriptor.fields_by_name["value"].type])
            return {**plain, "type": [plain["type"], "null"]}
        return {"type": "object"}

    def _message(self, descriptor: Descriptor) -> Schema:
        schema: Schema = {"type": "object", **self._about(descriptor.full_name)}
        properties = {field.json_name: self._field(field) for field in descriptor.fields}
        if properties:
            schema["properties"] = properties
        demanded = self._known.demanded(descriptor)
        required = [field.json_name for field in descriptor.fields if field.name in demanded]
        if required:
            schema["required"] = required
        if descriptor.GetOptions().deprecated:
            schema["deprecated"] = True
        return schema

    def _field(self, field: FieldDescriptor) -> Schema:
        rules = self._known.field_rules(field)
        schema = self._shape(field, rules)
        assert field.containing_type is not None
        about = self._about(f"{field.containing_type.full_name}.{field.name}")
        oneof = real_oneof(field)
        if oneof is not None:
            others = ", ".join(each.json_name for each in oneof.fields)
            one = f"One of {others} (oneof {oneof.name})."
            about["description"] = f"{about.get('description', '')}\n\n{one}".strip()
        if field.GetOptions().deprecated:
            about["deprecated"] = True
        return {**schema, **about}

    def _shape(self, field: FieldDescriptor, rules: Any) -> Schema:
        if is_map(field):
            assert field.message_type is not None
            value = field.message_type.fields_by_name["value"]
            stated = rules.map if rules is not None else None
            inner = stated.values if stated is not None and stated.HasField("values") else None
            schema: Schema = {"type": "object", "additionalProperties": self._single(value, inner)}
            return schema | _sizes(stated, "pairs", "Properties")
        if field.is_repeated:
            stated = rules.repeated if rules is not None else None
            inner = stated.items if stated is not None and stated.HasField("items") else None
            schema = {"type": "array", "items": self._single(field, inner)}
            if stated is not None and stated.unique:
                schema["uniqueItems"] = True
            return schema | _sizes(stated, "items", "Items")
        return self._single(field, rules)

    def _single(self, field: FieldDescriptor, rules: Any) -> Schema:
        if field.message_type is not None:
            return self.reference(field.message_type)
        if field.enum_type is not None:
            return self._enum(field.enum_type)
        schema = dict(_SCALARS[field.type])
        if rules is None:
            return schema
        kind = rules.WhichOneof("type")
        if kind == "string":
            schema |= _text(rules.string)
        elif kind is not None and schema["type"] in ("integer", "number"):
            schema |= _numbers(getattr(rules, kind))
        return schema

    def _enum(self, enum: EnumDescriptor) -> Schema:
        if enum.full_name == "google.protobuf.NullValue":
            return {"type": "null"}
        name = enum.full_name
        values = [value.name for value in enum.values]
        self.found.setdefault(name, {"type": "string", "enum": values, **self._about(name)})
        return {"$ref": f"#/components/schemas/{name}"}

    def _about(self, name: str) -> Schema:
        comment = self._comments.get(name, "")
        return {"description": comment} if comment else {}


def _sizes(rules: Any, of: str, noun: str) -> Schema:
    found: Schema = {}
    for which in ("min", "max"):
        if rules is not None and rules.HasField(f"{which}_{of}"):
            found[f"{which}{noun}"] = getattr(rules, f"{which}_{of}")
    return found


def _text(rules: Any) -> Schema:
    found: Schema = {}
    for name, keys in (
        ("min_len", ("minLength",)),
        ("max_len", ("maxLength",)),
        ("len", ("minLength", "maxLength")),
    ):
        if rules.HasField(name):
            found |= dict.fromkeys(keys, getattr(rules, name))
    if rules.HasField("const"):
        found["const"] = rules.const
    choices = list(getattr(rules, "in"))
    if choices:
        found["enum"] = choices
    if rules.HasField("pattern") and not _ONLY_RE2.search(rules.pattern):
        found["pattern"] = rules.pattern
    kind = rules.WhichOneof("well_known")
    if kind in _FORMATS and getattr(rules, kind):
        found["format"] = _FORMATS[kind]
    return found


def _numbers(rules: Any) -> Schema:
    stated = {field.name: value for field, value in rules.ListFields()}
    found: Schema = {}
    low = stated.get("gte", stated.get("gt"))
    high = stated.get("lte", stated.get("lt"))
    if low is None or high is None or low <= high:  # else outside of a range
        for name, key in (
            ("gte", "minimum"),
            ("gt", "exclusiveMinimum"),
            ("lte", "maximum"),
            ("lt", "exclusiveMaximum"),
        ):
            if name in stated:
                found[key] = stated[name]
    if "const" in stated:
        found["const"] = stated["const"]
    if "in" in stated:
        found["enum"] = list(stated["in"])
    return found
