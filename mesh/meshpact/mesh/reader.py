"""Reads a YAML tree into msgspec structs by their types, and notes every fault, not the first only.

A faulty value is left out (in a list: the whole list, so that indexes stay true), and the rest is
read and checked as if it were not there.
"""

from __future__ import annotations

import difflib
import functools
import math
import re
from collections.abc import Iterable
from enum import Enum
from typing import Final, TypeVar, cast

import yaml
from msgspec import NODEFAULT, Struct, inspect

from meshpact.mesh import names
from meshpact.mesh.problems import shown
from meshpact.mesh.tree import Place, Tree

S = TypeVar("S", bound=Struct)


class _Missing(Enum):
    VALUE = "value"


_MISSING: Final = _Missing.VALUE

_TAG: Final = "tag:yaml.org,2002:"
_INTEGER: Final = re.compile(r"[-+]?(0|[1-9][0-9]{0,17})")


def read(tree: Tree, kind: type[S]) -> S | None:
    """The struct that a tree holds; None when too little of it is sound. Faults go to the tree."""
    if tree.root is None:
        required = _required(_type_of(kind))
        tree.add((), "the file is empty", "", f"Write at least: {', '.join(required)}")
        return None
    value = _Reader(tree).value(tree.root, _type_of(kind), ())
    return value if isinstance(value, kind) else None


@functools.cache
def _type_of(kind: type[Struct]) -> inspect.Type:
    """All that a struct's annotations say: asking anew is two fifths of what a file takes."""
    return inspect.type_info(kind)


def closest(word: str, words: Iterable[str], otherwise: str) -> str:
    """What to write instead of an unknown word: the known one that is most like it."""
    near = difflib.get_close_matches(word, list(words), n=1)
    return f"Did you mean {near[0]}?" if near else otherwise


class _Reader:
    def __init__(self, tree: Tree) -> None:
        self._tree = tree

    def value(self, node: yaml.Node, kind: inspect.Type, place: Place) -> object:
        """The value of a node as a type has it, or _MISSING with a fault noted."""
        extra: dict[str, object] = {}
        if isinstance(kind, inspect.Metadata):
            extra = cast("dict[str, object]", kind.extra or {})  # pyright: ignore[reportUnknownMemberType]
            kind = kind.type
        if isinstance(kind, inspect.UnionType):
            kind = _chosen(kind, node)
            if isinstance(kind, inspect.Metadata):
                return self.value(node, kind, place)
        match kind:
            case inspect.StructType():
                return self._struct(node, kind, place)
            case inspect.DictType():
                return self._dict(node, kind, place)
            case inspect.VarTupleType():
                return self._tuple(node, kind, place)
            case inspect.EnumType():
                return self._enum(node, kind, place)
            case inspect.BoolType():
                return self._bool(node, place)
            case inspect.IntType():
                return self._int(node, kind, place)
            case inspect.FloatType():
                return self._float(node, kind, place, duration=bool(extra.get("duration")))
            case inspect.StrType():
                return self._str(node, kind, place, path=bool(extra.get("path")))
            case _:
                raise TypeError(f"mesh.yaml has no values of the type {kind}")

    def _struct(self, node: yaml.Node, kind: inspect.StructType, place: Place) -> object:
        fields = {field.encode_name: field for field in kind.fields}
        allowed = ", ".join(fields)
        if not isinstance(node, yaml.MappingNode):
            if _is_null(node) and (default := _default(kind)) is not _MISSING:
                return default
            return self._fault(place, _found(node), f"a mapping with the keys {allowed}")
        values: dict[str, object] = {}
        for name, item in _entries(node):
            field = fields.get(name)
            if field is None:
                self._tree.add(
                    (*place, name), "unknown key", allowed, closest(name, fields, "Remove it")
                )
                continue
            value = self.value(item, field.type, (*place, name))
            if value is not _MISSING:
                values[field.name] = value
        given = {name for name, _ in _entries(node)}
        for name in _required(kind):
            if name not in given:
                self._tree.add(place, f"the key {name} is missing", "", f"Add {name}: ...")
        if any(fields[name].name not in values for name in _required(kind)):
            return _MISSING
        return kind.cls(**values)

    def _dict(self, node: yaml.Node, kind: inspect.DictType, place: Place) -> object:
        if _is_null(node):
            return {}
        if not isinstance(node, yaml.MappingNode):
            return self._fault(place, _found(node), "a mapping of names")
        values: dict[str, object] = {}
        for name, item in _entries(node):
            value = self.value(item, kind.value_type, (*place, name))
            if value is _MISSING and isinstance(kind.value_type, inspect.StructType):
                value = _default(kind.value_type)  # the name is known, whatever it stands for
            if value is not _MISSING:
                values[name] = value
        return values

    def _tuple(self, node: yaml.Node, kind: inspect.VarTupleType, place: Place) -> object:
        if not isinstance(node, yaml.SequenceNode):
            return self._fault(place, _found(node), "a list", "Write it as - item or [item, ...]")
        if len(node.value) < (kind.min_length or 0):
            return self._fault(place, "an empty list", f"{kind.min_length} or more items")
        values = [
            self.value(item, kind.item_type, (*place, index))
            for index, item in enumerate(node.value)
        ]
        return _MISSING if _MISSING in values else tuple(values)

    def _enum(self, node: yaml.Node, kind: inspect.EnumType, place: Place) -> object:
        try:
            return kind.cls(node.value if isinstance(node, yaml.ScalarNode) else None)
        except ValueError:
            allowed = " or ".join(str(member.value) for member in kind.cls)
            return self._fault(place, _found(node), allowed)

    def _bool(self, node: yaml.Node, place: Place) -> object:
        if not isinstance(node, yaml.ScalarNode) or node.tag != f"{_TAG}bool":
            return self._fault(place, _found(node), "true or false")
        return str(node.value).lower() in ("true", "yes", "on")

    def _int(self, node: yaml.Node, kind: inspect.IntType, place: Place) -> object:
        low = -math.inf if kind.ge is None else kind.ge
        high = math.inf if kind.le is None else kind.le
        if (
            not isinstance(node, yaml.ScalarNode)
            or not _is_number(node)
            or not _INTEGER.fullmatch(node.value)
            or not low <= int(node.value) <= high
        ):
            return self._fault(place, _found(node), f"a whole number from {low} to {high}")
        return int(node.value)

    def _float(
        self, node: yaml.Node, kind: inspect.FloatType, place: Place, *, duration: bool
    ) -> object:
        value = math.nan
        if isinstance(node, yaml.ScalarNode):
            if duration and (seconds := names.seconds_of(node.value)) is not None:
                value = seconds
            elif _is_number(node):
                value = _to_float(node.value)
        within = (
            (kind.gt is None or value > kind.gt)
            and (kind.ge is None or value >= kind.ge)
            and (kind.le is None or value <= kind.le)
        )
        if not math.isfinite(value) or not within:
            wanted = f"a number from {kind.ge} to {kind.le}"
            if duration:
                wanted = f"{names.DURATIONS}, more than 0 and at most {kind.le} s"
            return self._fault(place, _found(node), wanted)
        return value

    def _str(self, node: yaml.Node, kind: inspect.StrType, place: Place, *, path: bool) -> object:
        if not isinstance(node, yaml.ScalarNode):
            return self._fault(place, _found(node), "a text")
        if node.tag in (f"{_TAG}bool", f"{_TAG}null"):
            return self._fault(
                place, _found(node), "a text", f'If it is one, put it in quotes: "{node.value}"'
            )
        text = str(node.value)
        if len(text) < (kind.min_length or 0):
            return self._fault(place, "an empty text", "a text with content")
        if path and text:
            return str((self._tree.path.parent / text).absolute())
        return text

    def _fault(self, place: Place, found: str, allowed: str, remedy: str = "") -> _Missing:
        self._tree.add(place, f"found {found}", allowed, remedy)
        return _MISSING


def _entries(node: yaml.MappingNode) -> list[tuple[str, yaml.Node]]:
    """Keys and values; keys that are no texts are left out, the tree has noted them."""
    return [(str(key.value), item) for key, item in node.value if isinstance(key, yaml.ScalarNode)]


def _chosen(kind: inspect.UnionType, node: yaml.Node) -> inspect.Type:
    """Of the types that a value may have, the one that goes with its node."""
    kinds = [each for each in kind.types if not isinstance(each, inspect.NoneType)]
    structs = [each for each in kinds if isinstance(each, inspect.StructType)]
    if structs and isinstance(node, yaml.MappingNode):
        return structs[0]
    return next(each for each in kinds if each not in structs) if len(kinds) > 1 else kinds[0]


def _required(kind: inspect.Type) -> list[str]:
    assert isinstance(kind, inspect.StructType)
    return [
        field.encode_name for field in kind.fields if field.required and field.default is NODEFAULT
    ]


def _default(kind: inspect.StructType) -> object:
    return _MISSING if _required(kind) else kind.cls()


def _is_null(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and node.tag == f"{_TAG}null"


def _is_number(node: yaml.ScalarNode) -> bool:
    return node.tag in (f"{_TAG}int", f"{_TAG}float")


def _to_float(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def _found(node: yaml.Node) -> str:
    if isinstance(node, yaml.MappingNode):
        return "a mapping"
    if isinstance(node, yaml.SequenceNode):
        return "a list"
    return "nothing" if _is_null(node) and not node.value else shown(node.value)
