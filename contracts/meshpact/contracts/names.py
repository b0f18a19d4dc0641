"""How names of a contract become names of Python: case, keywords, modules."""

from __future__ import annotations

import keyword
import re
from typing import Final

_WORDS: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_IN_CLASSES: Final = frozenset({"abc", "float", "str"})
"""What the bodies of generated classes refer to, and a method of that name would hide."""


def snake(name: str) -> str:
    """`ReserveStock` -> `reserve_stock`, `GetURL` -> `get_url`."""
    return _WORDS.sub("_", name).lower()


def upper_snake(name: str) -> str:
    """`InventoryError` -> `INVENTORY_ERROR`."""
    return _WORDS.sub("_", name).upper()


def camel(reason: str) -> str:
    """`OUT_OF_STOCK` -> `OutOfStock`."""
    return "".join(word.capitalize() for word in reason.split("_"))


def safe(name: str) -> str:
    """The name itself, or with an underscore after it when Python keeps it for itself."""
    return f"{name}_" if keyword.iskeyword(name) else name


def attribute(method: str) -> str:
    """The name of a method on the generated classes: `ReserveStock` -> `reserve_stock`."""
    name = snake(method)
    return f"{name}_" if name in _IN_CLASSES else safe(name)


def module(proto: str, suffix: str) -> str:
    """The dotted module of a contract's file: `acme/v1/a-b.proto` -> `acme.v1.a_b_pb2`."""
    return proto.removesuffix(".proto").replace("-", "_").replace("/", ".") + suffix


def module_path(proto: str, suffix: str) -> str:
    """The file of `module`, such as `acme/v1/a_b_mesh.py`; `suffix` brings the extension."""
    return proto.removesuffix(".proto").replace("-", "_") + suffix


def bad_module_part(proto: str) -> str:
    """The first part of a contract's path that Python cannot import, "" when all are fine."""
    parts = module(proto, "").split(".")
    parts[-1] += "_pb2"
    return next((part for part in parts if not part.isidentifier() or keyword.iskeyword(part)), "")
