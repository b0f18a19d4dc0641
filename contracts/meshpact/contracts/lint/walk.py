"""One pass over the descriptors of contracts: each thing is shown to the rules that look at it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from google.protobuf.descriptor_pb2 import DescriptorProto, EnumDescriptorProto

from meshpact.contracts.check_policy import locate
from meshpact.contracts.faults import Place
from meshpact.contracts.findings import Finding
from meshpact.contracts.lint.model import (
    Context,
    Enum,
    Field,
    Hit,
    Hits,
    LintRule,
    Message,
    Oneof,
    Path,
    Value,
)
from meshpact.contracts.model import File, Method, Service
from meshpact.policy.v1 import policy_pb2 as pb

_T = TypeVar("_T")
_Looks = list[tuple[LintRule, Callable[[Context, _T], Hits]]]


@dataclass(frozen=True)
class Found:
    """A finding, and the line (from 1, 0: none) that may go without a loss."""

    finding: Finding
    delete: int = 0


def walk(context: Context, rules: Sequence[LintRule]) -> Iterator[Found]:
    """Everything that the rules find, in no particular order."""
    looks = _Rules(rules)
    for rule in rules:
        if rule.whole is not None:
            for hit in rule.whole(context):
                yield _found(rule, hit, hit.place or Place(""), hit.subject or "")
    for file in context.contracts.files:
        yield from _Walk(context, looks, file).all()


class _Rules:
    def __init__(self, rules: Sequence[LintRule]) -> None:
        self.file: _Looks[File] = [(rule, rule.file) for rule in rules if rule.file]
        self.service: _Looks[Service] = [(rule, rule.service) for rule in rules if rule.service]
        self.method: _Looks[Method] = [(rule, rule.method) for rule in rules if rule.method]
        self.message: _Looks[Message] = [(rule, rule.message) for rule in rules if rule.message]
        self.field: _Looks[Field] = [(rule, rule.field) for rule in rules if rule.field]
        self.oneof: _Looks[Oneof] = [(rule, rule.oneof) for rule in rules if rule.oneof]
        self.enum: _Looks[Enum] = [(rule, rule.enum) for rule in rules if rule.enum]
        self.value: _Looks[Value] = [(rule, rule.value) for rule in rules if rule.value]


class _Walk:
    def __init__(self, context: Context, looks: _Rules, file: File) -> None:
        self._context = context
        self._looks = looks
        self._file = file

    def all(self) -> Iterator[Found]:
        proto, package = self._file.proto, self._file.proto.package
        yield from self._look(self._looks.file, self._file, (), "")
        for index, message in enumerate(proto.message_type):
            yield from self._message(message, package, (4, index))
        for index, enum in enumerate(proto.enum_type):
            yield from self._enum(enum, package, (5, index))
        for index, extension in enumerate(proto.extension):
            path, name = (7, index), _joined(package, extension.name)
            field = Field(self._file, path, name, extension, None)
            yield from self._look(self._looks.field, field, path, name)
        for service in self._file.services:
            yield from self._look(self._looks.service, service, service.path, service.full_name)
            yield from self._methods(service)

    def _message(self, proto: DescriptorProto, scope: str, path: Path) -> Iterator[Found]:
        name = _joined(scope, proto.name)
        message = Message(self._file, path, name, proto)
        yield from self._look(self._looks.message, message, path, name)
        synthetic: set[int] = set()
        for index, each in enumerate(proto.field):
            at, full = (*path, 2, index), f"{name}.{each.name}"
            field = Field(self._file, at, full, each, message)
            yield from self._look(self._looks.field, field, at, full)
            if each.proto3_optional:
                synthetic.add(each.oneof_index)
        for index, extension in enumerate(proto.extension):
            at, full = (*path, 6, index), f"{name}.{extension.name}"
            field = Field(self._file, at, full, extension, None)
            yield from self._look(self._looks.field, field, at, full)
        for index, declared in enumerate(proto.oneof_decl):
            if index not in synthetic:
                at, full = (*path, 8, index), f"{name}.{declared.name}"
                oneof = Oneof(self._file, at, full, declared)
                yield from self._look(self._looks.oneof, oneof, at, full)
        for index, inner in enumerate(proto.nested_type):
            if not inner.options.map_entry:
                yield from self._message(inner, name, (*path, 3, index))
        for index, enum in enumerate(proto.enum_type):
            yield from self._enum(enum, name, (*path, 4, index))

    def _enum(self, proto: EnumDescriptorProto, scope: str, path: Path) -> Iterator[Found]:
        name = _joined(scope, proto.name)
        yield from self._look(self._looks.enum, Enum(self._file, path, name, proto), path, name)
        for index, each in enumerate(proto.value):
            at, full = (*path, 2, index), _joined(scope, each.name)
            value = Value(self._file, at, full, each)
            yield from self._look(self._looks.value, value, at, full)

    def _methods(self, service: Service) -> Iterator[Found]:
        """A hit in a part that all methods inherit is told once, of the service."""
        for rule, look in self._looks.method:
            hits = [(method, list(look(self._context, method))) for method in service.methods]
            shared: dict[tuple[str, str], Hit] = {}
            for method, found in hits:
                for hit in found:
                    inherited = hit.part.partition(".")[0] in method.inherited
                    if inherited and all(hit in found for _, found in hits):
                        shared[hit.part, hit.message] = hit
                    elif hit.part:
                        yield _found(rule, hit, self._part(method, hit.part), method.name)
                    else:
                        yield self._at(rule, hit, method.path, method.name)
            for hit in shared.values():
                yield _found(rule, hit, self._part(service, hit.part), service.full_name)

    def _part(self, owner: Method | Service, part: str) -> Place:
        number = 4 if isinstance(owner, Method) else 3
        locations = self._file.locations
        stated = locations.policy_option((*owner.path, number), pb.Policy.DESCRIPTOR)
        inherited = isinstance(owner, Method) and part.partition(".")[0] in owner.inherited
        entry = None if inherited else locate(stated, part)
        position = locations.of(owner.path) if entry is None else entry.position
        return self._context.contracts.image.place(self._file.name, *position)

    def _look(self, looks: _Looks[_T], thing: _T, path: Path, subject: str) -> Iterator[Found]:
        for rule, look in looks:
            for hit in look(self._context, thing):
                yield self._at(rule, hit, path, subject)

    def _at(self, rule: LintRule, hit: Hit, path: Path, subject: str) -> Found:
        place = hit.place
        if place is None:
            locations = self._file.locations
            position = locations.of(path if hit.path is None else hit.path)
            if position == (0, 0):
                position = locations.of(path)
            place = self._context.contracts.image.place(self._file.name, *position)
        return _found(rule, hit, place, subject if hit.subject is None else hit.subject)


def _found(rule: LintRule, hit: Hit, place: Place, subject: str) -> Found:
    finding = Finding(
        rule=rule.id,
        severity=rule.severity,
        file=place.file,
        line=place.line,
        column=place.column,
        message=hit.message,
        why=rule.why,
        remedy=hit.remedy,
        subject=subject,
    )
    return Found(finding, hit.delete)


def _joined(scope: str, name: str) -> str:
    return f"{scope}.{name}" if scope else name
