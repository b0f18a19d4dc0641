"""What a rule is made of: the things it looks at, and the hits that it answers with.

A rule is a value with one function for each kind of thing that it looks at. The functions get a
thing and what all rules may know (`Context`), do no IO, and yield hits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    EnumValueDescriptorProto,
    FieldDescriptorProto,
    OneofDescriptorProto,
)

from meshpact.contracts.errorenums import ErrorValue
from meshpact.contracts.faults import Place
from meshpact.contracts.findings import Rule, Severity
from meshpact.contracts.lint.inbound import inbound
from meshpact.contracts.lint.mesh import LintMesh
from meshpact.contracts.lint.validation import Validation
from meshpact.contracts.model import Contracts, File, Method, Service

Path = tuple[int, ...]
"""A descriptor path (descriptor.proto, SourceCodeInfo)."""


@dataclass(frozen=True)
class Hit:
    """What a rule found in the thing that it was given.

    `part` is where in the policy of a method it stands (`deadline.max`); `path` another place in
    the file than the thing's own; `place` one outside the contracts; `delete` the line (from 1)
    that holds nothing but the fault, where dropping it is right beyond doubt.
    """

    message: str
    remedy: str
    part: str = ""
    path: Path | None = None
    place: Place | None = None
    subject: str | None = None
    delete: int = 0


@dataclass(frozen=True, slots=True)
class Message:
    """A message of the user's own contracts; `name` is its full name."""

    file: File
    path: Path
    name: str
    proto: DescriptorProto


@dataclass(frozen=True, slots=True)
class Field:
    """A field, or an extension (its `message` is then what it stands in, if anything)."""

    file: File
    path: Path
    name: str
    proto: FieldDescriptorProto
    message: Message | None


@dataclass(frozen=True, slots=True)
class Enum:
    """An enum."""

    file: File
    path: Path
    name: str
    proto: EnumDescriptorProto


@dataclass(frozen=True, slots=True)
class Value:
    """A value of an enum."""

    file: File
    path: Path
    name: str
    proto: EnumValueDescriptorProto


@dataclass(frozen=True, slots=True)
class Oneof:
    """A oneof that the author wrote."""

    file: File
    path: Path
    name: str
    proto: OneofDescriptorProto


class Context:
    """What all rules may know beside the thing they look at."""

    def __init__(self, contracts: Contracts, mesh: LintMesh | None) -> None:
        self.contracts = contracts
        self.mesh = mesh
        self.validation = Validation(contracts.image)

    @cached_property
    def inbound(self) -> frozenset[str]:
        """The full names of all messages that may arrive at a server from a caller."""
        return inbound(self.contracts)

    @cached_property
    def listed_errors(self) -> frozenset[str]:
        """The full names of all errors that some method lists."""
        return frozenset(
            error.full_name
            for file in self.contracts.files
            for service in file.services
            for method in service.methods
            for error in self.contracts.errors_of(method)
        )

    @cached_property
    def errors_by_reason(self) -> dict[tuple[str, str], list[ErrorValue]]:
        """The errors of all own contracts by domain and reason."""
        found: dict[tuple[str, str], list[ErrorValue]] = {}
        for file in self.contracts.files:
            for error in file.errors:
                found.setdefault((error.domain, error.reason), []).append(error)
        return found

    @cached_property
    def repeated_types(self) -> frozenset[str]:
        """The messages, each with a leading dot, that repeated fields of own contracts hold."""
        repeated = FieldDescriptorProto.LABEL_REPEATED
        own = {file.name for file in self.contracts.files}
        return frozenset(
            field.type_name
            for file, message in self.contracts.messages.values()
            if file.name in own
            for field in message.field
            if field.label == repeated and field.type_name
        )

    def request_of(self, method: Method) -> DescriptorProto:
        """The message that a method takes."""
        return self.contracts.messages[method.proto.input_type][1]

    def response_of(self, method: Method) -> DescriptorProto:
        """The message that a method answers with."""
        return self.contracts.messages[method.proto.output_type][1]


Hits = Iterator[Hit]
_T = TypeVar("_T")
_Look = Callable[[Context, _T], Hits] | None


@dataclass(frozen=True)
class LintRule:
    """One rule: what it says, why, and what it looks at.

    A `mesh` rule looks at methods too, and runs only where a mesh.yaml is given.
    """

    id: str
    name: str
    summary: str
    why: str
    severity: Severity = Severity.ERROR
    file: _Look[File] = None
    service: _Look[Service] = None
    method: _Look[Method] = None
    message: _Look[Message] = None
    field: _Look[Field] = None
    oneof: _Look[Oneof] = None
    enum: _Look[Enum] = None
    value: _Look[Value] = None
    whole: Callable[[Context], Hits] | None = None
    """Looks at all contracts, or at the mesh; its hits bring their places along."""
    needs_mesh: bool = False

    @property
    def info(self) -> Rule:
        """What reports say of it."""
        return Rule(self.id, self.name, self.summary, f"docs/lint/{self.id}.md")
