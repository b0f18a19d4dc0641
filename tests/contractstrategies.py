"""Hypothesis strategies for whole contracts: any syntax, any shape, names that Python makes hard.

`contracts(number)` draws the files of one contract; its number keeps its names apart from those of
others, so that many of them live in one process.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from contractfiles import ROLE
from meshpact.contracts import names

SYNTAXES: Final = (
    'syntax = "proto2";',
    'syntax = "proto3";',
    'edition = "2023";',
    'edition = "2024";\noption features.enforce_naming_style = STYLE_LEGACY;\n'
    "option features.default_symbol_visibility = EXPORT_ALL;",
)
_KEYWORDS: Final = ("from", "class", "None", "True", "import", "lambda", "async", "def", "is")
_BUILTINS: Final = ("str", "object", "list", "float", "abc", "type", "property", "self", "int")
_METHODS: Final = (
    *_KEYWORDS,
    *("Str", "Abc", "Float", "List", "GetHTTPStatus2", "get_url", "_x", "X", "__init__", "Init"),
    *("SPEC", "Channel", "Close", "Call", "_1", "__", "WithANameThatIsSoLongThatLinesMustBeBroken"),
)
_SERVICES: Final = ("Store", "with", "not", "HTTPThing2", "_hidden", "print", "as", "Plain")
_MESSAGES: Final = (*_KEYWORDS, *_BUILTINS, "Item", "GetRequest", "V1", "_Low", "lower_case")
_NESTED: Final = ("Inner", "yield", "and", "Deep")
_FIELDS: Final = (*_KEYWORDS, *_BUILTINS, "value", "a_b", "x1", "name", "bytes", "_under", "Camel")
_SCALARS: Final = ("string", "bytes", "bool", "int32", "sint64", "fixed32", "double", "uint64")
_KEYS: Final = ("string", "int32", "bool", "fixed64")
_EXTERNAL: Final = (".google.protobuf.Empty", ".google.type.Money", ".google.protobuf.Any")
_METADATA: Final = ("from", "class", "self", "reason", "str", "name", "int", "a_key")
_IMPORTS: Final = (
    "meshpact/policy/v1/policy.proto",
    "google/protobuf/any.proto",
    "google/protobuf/empty.proto",
    "google/type/money.proto",
)
_LINES: Final = st.lists(
    st.text(st.sampled_from("ab \t\"'\\`{}%#*|-:é漢🦒\u202e@\u00a0.,"), max_size=130), max_size=4
)
_POLICIES: Final[tuple[str, ...]] = (
    'access: {unauthenticated: {reason: "It is \\"open\\"."}}',
    "deadline: {default: {nanos: 900000000} max: {seconds: 3}}",
    "rate: {requests: 1000 per: {seconds: 1} by: RATE_KEY_METHOD}",
    "concurrency: {max: 50}",
    "message_size: {request_bytes: 1000 response_bytes: 1000}",
    "audit: {level: AUDIT_LEVEL_NONE}",
    "criticality: CRITICALITY_SHEDDABLE",
)


@dataclass
class Contract:
    """One contract: its files (name -> text) and the module with its services."""

    module: str
    files: dict[str, str] = field(default_factory=dict[str, str])

    def __str__(self) -> str:
        return "\n".join(f"// {name}\n{text}" for name, text in self.files.items())


def drawn(count: int) -> list[Contract]:
    """So many contracts: the same ones each time, so that one that fails can be looked at."""
    found: list[Contract] = []

    @settings(
        max_examples=count,
        phases=[Phase.generate],
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(st.data())
    def draw(data: st.DataObject) -> None:
        found.append(data.draw(contracts(len(found))))

    draw()
    return found


@st.composite
def contracts(draw: st.DrawFn, number: int) -> Contract:
    """One contract of one or two files, with a package or without."""
    has_package = draw(st.booleans())
    package = f"c{number}.v1" if has_package else ""
    mark, folder = ("", f"c{number}/v1/") if has_package else (f"C{number}_", "")
    types = _Types(draw, f".{package}" if package else "", mark)
    messages = types.text()
    errors, reasons = _errors(draw, f"{mark}Fault", number)
    services = _services(draw, mark, [*types.names, *_EXTERNAL], reasons)
    main, other = f"{folder}c{number}.proto", f"{folder}c{number}-types.v1.proto"
    found = Contract(main.removesuffix(".proto").replace("/", ".") + "_mesh")
    about = _comment(draw)
    if draw(st.booleans()):
        found.files[other] = _file(types.syntax, package, (), messages)
        syntax = draw(st.sampled_from(SYNTAXES))
        text = _file(syntax, package, (other, *_IMPORTS), errors + services)
    else:
        text = _file(types.syntax, package, _IMPORTS, messages + errors + services)
    found.files[main] = about + text
    return found


def _file(syntax: str, package: str, imports: Sequence[str], body: str) -> str:
    stated = f"package {package};\n" if package else ""
    listed = "".join(f'import "{name}";\n' for name in imports)
    return f"{syntax}\n{stated}{listed}\n{body}"


def _comment(draw: st.DrawFn, pad: str = "") -> str:
    return "".join(f"{pad}// {line}\n" for line in draw(_LINES))


class _Types:
    """Messages and an enum that refer to each other, and to themselves."""

    def __init__(self, draw: st.DrawFn, scope: str, mark: str) -> None:
        self._draw = draw
        self._enum = f"{mark}Kind"
        self.syntax: str = draw(st.sampled_from(SYNTAXES))
        chosen = st.lists(st.sampled_from(_MESSAGES), min_size=1, max_size=4, unique=True)
        nested = st.lists(st.sampled_from(_NESTED), max_size=2, unique=True)
        self._nested = {mark + top: draw(nested) for top in draw(chosen)}
        self.names = [f"{scope}.{top}" for top in self._nested]
        self.names += [
            f"{scope}.{top}.{name}" for top in self._nested for name in self._nested[top]
        ]
        self._kinds = [*_SCALARS, *self.names, f"{scope}.{self._enum}"]

    def text(self) -> str:
        """All of them."""
        prefix = self._enum.upper()
        enum = f"enum {self._enum} {{ {prefix}_ZERO = 0; {prefix}_from = 1; }}\n"
        return enum + "".join(map(self._message, self._nested))

    def _message(self, name: str) -> str:
        draw = self._draw
        lines = [f"message {inner} {{ {self._field('value', 1)} }}" for inner in self._nested[name]]
        fields = draw(st.lists(st.sampled_from(_FIELDS), max_size=6, unique_by=_json_name))
        count = draw(st.integers(0, len(fields)))
        if count and draw(st.booleans()):
            choices = [f"{self._kind()} {n} = {at + 50};" for at, n in enumerate(fields[:count])]
            lines.append(f"oneof one_of {{ {' '.join(choices)} }}")
            fields = fields[count:]
        lines += [self._field(field, at + 1) for at, field in enumerate(fields)]
        if draw(st.booleans()):
            lines.append(f"map<{draw(st.sampled_from(_KEYS))}, {self._kind()}> mapped = 77;")
        if draw(st.booleans()):
            lines.append("reserved 100 to 110;")
        if "proto3" not in self.syntax and draw(st.booleans()):
            lines.append("extensions 200 to 300;")
        body = "".join(f"{_comment(draw, '  ')}  {line}\n" for line in lines)
        return f"{_comment(draw)}message {name} {{\n{body}}}\n"

    def _field(self, name: str, number: int) -> str:
        labels = ["repeated ", "optional "]
        if "proto2" not in self.syntax:
            labels = ["repeated ", ""] if "edition" in self.syntax else [*labels, ""]
        return f"{self._draw(st.sampled_from(labels))}{self._kind()} {name} = {number};"

    def _kind(self) -> str:
        return self._draw(st.sampled_from(self._kinds))


def _json_name(field: str) -> str:
    return field.replace("_", "").lower()


def _errors(draw: st.DrawFn, name: str, number: int) -> tuple[str, list[str]]:
    """An error enum and the reasons in it; often there is none."""
    chosen = draw(st.lists(st.sampled_from(["NOT_FOUND", "STR", "LIST"]), max_size=2, unique=True))
    if not chosen:
        return "", []
    prefix, reasons = names.upper_snake(name), [f"{reason}_{number}" for reason in chosen]
    text = 'option (meshpact.policy.v1.errors).domain = "any.example";\n'
    text += f"  {prefix}_UNSPECIFIED = 0;\n"
    for at, reason in enumerate(reasons):
        keys = draw(st.lists(st.sampled_from(_METADATA), max_size=3, unique=True))
        said = "".join(f" {{{key}}}" for key in keys)
        listed = ", ".join(f'"{key}"' for key in keys)
        text += (
            f"{_comment(draw, '  ')}  {prefix}_{reason} = {at + 1} [(meshpact.policy.v1.error) ="
        )
        text += f' {{code: CODE_NOT_FOUND message: "No{said}!" metadata: [{listed}]}}];\n'
    return f"enum {name} {{\n  {text}}}\n", reasons


def _services(draw: st.DrawFn, mark: str, types: Sequence[str], reasons: Sequence[str]) -> str:
    chosen = st.lists(
        st.sampled_from(_SERVICES), min_size=1, max_size=3, unique_by=lambda name: name
    )
    return "".join(_service(draw, mark + name, types, reasons) for name in draw(chosen))


def _service(draw: st.DrawFn, name: str, types: Sequence[str], reasons: Sequence[str]) -> str:
    text = (
        f'option (meshpact.policy.v1.service) = {{access: {{roles: "{ROLE}"}} '
        "deadline: {default: {seconds: 5}} audit: {level: AUDIT_LEVEL_DENIALS}};\n"
    )
    methods = st.lists(st.sampled_from(_METHODS), min_size=1, max_size=5, unique_by=names.attribute)
    for method in draw(methods):
        sides = [
            f"{draw(st.sampled_from(['', 'stream ']))}{draw(st.sampled_from(types))}"
            for _ in range(2)
        ]
        stated: list[str] = draw(st.lists(st.sampled_from(_POLICIES), max_size=3, unique=True))
        fails = draw(st.booleans())
        if reasons and fails:
            stated = [*stated, f'errors: "{draw(st.sampled_from(reasons))}"']
        policy = f"option (meshpact.policy.v1.method) = {{{' '.join(stated)}}};"
        options = [policy] if stated else []
        options += ["option deprecated = true;"] if draw(st.booleans()) else []
        text += f"{_comment(draw, '  ')}  rpc {method}({sides[0]}) returns ({sides[1]})"
        text += f" {{ {' '.join(options)} }}\n" if options else ";\n"
    return f"{_comment(draw)}service {name} {{\n  {text}}}\n"
