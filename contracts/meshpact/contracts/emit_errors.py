"""The exceptions of a `_mesh` module, one for each value of the contract's error enums."""

from __future__ import annotations

import keyword
from typing import Final

from meshpact.contracts import layout
from meshpact.contracts.errorenums import ErrorValue
from meshpact.contracts.layout import Group
from meshpact.contracts.model import File
from meshpact.interceptors.errors import ContractError
from meshpact.policy.v1 import policy_pb2 as pb

_TAKEN: Final = frozenset(
    {
        *(name for name in dir(ContractError) if not name.startswith("_")),
        *("code", "message", "reason", "domain", "metadata", "fields", "quota", "retry_after"),
        *("int", "property", "self", "str", "super"),
    }
)
"""What every error has, or its class refers to: a key of that name gets an underscore behind it."""


def attribute(key: str) -> str:
    """The name of a metadata key as parameter and attribute."""
    return f"{key}_" if keyword.iskeyword(key) or key in _TAKEN else key


def exception(file: File, error: ErrorValue) -> list[str]:
    """The class of one error."""
    keys = list(error.option.metadata)
    code = pb.Code.Name(error.option.code).removeprefix("CODE_")
    about = file.locations.comment(error.path) or f"{error.reason} of {error.domain}."
    lines = [f"class {error.class_name}(_client.ContractError):"]
    lines += layout.docstring(about, 4)
    lines += [
        "",
        f"    CODE = _client.Code.{code}",
        f'    REASON = "{error.reason}"',
        f'    DOMAIN = "{error.domain}"',
        *layout.assign_string("MESSAGE", error.option.message, 4),
        *layout.lay(Group("KEYS = (", [f'"{key}"' for key in keys], ")", display=True), 4),
        "",
        *_constructor(keys),
    ]
    for key in keys:
        lines += [
            "",
            "    @property",
            f"    def {attribute(key)}(self) -> str:",
            f'        """The metadata of the key {key}."""',
            f'        return self.metadata["{key}"]',
        ]
    return lines


def _constructor(keys: list[str]) -> list[str]:
    names = [attribute(key) for key in keys]
    parameters = ["self", *(["*"] if keys else []), *(f"{name}: str | int" for name in names)]
    values = [f'"{key}": str({name})' for key, name in zip(keys, names, strict=True)]
    return [
        *layout.lay(Group("def __init__(", parameters, ") -> None:"), 4),
        *layout.lay(Group("super().__init__(", [Group("{", values, "}", display=True)], ")"), 8),
    ]
