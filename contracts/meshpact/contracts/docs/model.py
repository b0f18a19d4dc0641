"""What the pages show: contracts as readers look for them. Plain values, no markup."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class TypeRef:
    """A type in words (`list of StockLine`); `target` is the documented type in it, "" for none."""

    text: str
    target: str = ""
    package: str = ""


@dataclass(frozen=True)
class Field:
    """One field of a message."""

    name: str
    json_name: str
    full_name: str
    number: int
    type: TypeRef
    comment: str
    rules: tuple[str, ...]
    """What a value must keep to, each in words."""
    required: bool = False
    optional: bool = False
    """Whether absent differs from empty."""
    oneof: str = ""
    redacted: bool = False
    deprecated: bool = False
    default: str = ""
    """What an absent value means, where the contract says so (proto2)."""


@dataclass(frozen=True)
class Message:
    """One message. `name` has the names around it (`Outer.Inner`)."""

    name: str
    full_name: str
    package: str
    comment: str
    fields: tuple[Field, ...]
    rules: tuple[str, ...]
    example: Example
    deprecated: bool = False


@dataclass(frozen=True)
class Example:
    """A message as JSON. Not `valid`: no value was found that keeps to all rules."""

    json: str
    valid: bool
    value: Any
    """The message itself."""


@dataclass(frozen=True)
class EnumValue:
    """One value of an enum."""

    name: str
    full_name: str
    number: int
    comment: str
    deprecated: bool = False


@dataclass(frozen=True)
class Enum:
    """One enum that lists no errors."""

    name: str
    full_name: str
    package: str
    comment: str
    values: tuple[EnumValue, ...]
    deprecated: bool = False


@dataclass(frozen=True)
class Error:
    """One error of a contract."""

    reason: str
    domain: str
    full_name: str
    package: str
    code: str
    message: str
    metadata: tuple[str, ...]
    comment: str
    exception: str
    """Its class in Python, with the module."""


@dataclass(frozen=True)
class Fact:
    """One part of a policy in words; `inherited`: the service says it for all its methods."""

    label: str
    text: str
    inherited: bool = False


@dataclass(frozen=True)
class Method:
    """One method."""

    name: str
    full_name: str
    """`acme.retail.inventory.v1.InventoryService/ReserveStock`."""
    comment: str
    shape: str
    request: Message
    response: Message
    request_streams: bool
    response_streams: bool
    facts: tuple[Fact, ...]
    errors: tuple[Error, ...]
    guard_errors: tuple[tuple[str, str], ...]
    """Meshpact's own reasons that this policy can lead to, each with its status code."""
    grpcurl: str
    python: str
    deprecated: bool = False


@dataclass(frozen=True)
class Service:
    """One service."""

    name: str
    full_name: str
    package: str
    comment: str
    methods: tuple[Method, ...]
    source: str
    """The contract's name for imports."""
    deprecated: bool = False


@dataclass(frozen=True)
class Source:
    """One file of a package."""

    name: str
    comment: str


@dataclass(frozen=True)
class Package:
    """Everything of one package. `imported`: only what own contracts use of another's."""

    name: str
    sources: tuple[Source, ...]
    services: tuple[Service, ...]
    messages: tuple[Message, ...]
    enums: tuple[Enum, ...]
    errors: tuple[Error, ...]
    options: tuple[Field, ...]
    """Extension fields that it declares."""
    imported: bool = False

    @property
    def title(self) -> str:
        """Its name, or words for its having none."""
        return self.name or "(no package)"


@dataclass(frozen=True)
class Site:
    """All of it, packages by name."""

    packages: tuple[Package, ...]

    @property
    def services(self) -> Sequence[Service]:
        """All services, by package."""
        return [service for package in self.packages for service in package.services]


def summary(comment: str) -> str:
    """The first sentence of a comment, on one line."""
    paragraph = " ".join(comment.split("\n\n", 1)[0].split())
    for end, character in enumerate(paragraph):
        if character in ".!?" and paragraph[end + 1 : end + 2] in ("", " "):
            before = paragraph[: end + 1]
            if not before.endswith((" e.g.", " i.e.", " etc.", " cf.")):
                return before
    return paragraph
