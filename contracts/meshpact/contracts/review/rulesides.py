"""What rules hang on beside themselves: values of enums, predefined rules, and what was tried."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
)

from meshpact.contracts.model import Contracts
from meshpact.contracts.review.fieldrules import Predefined, predefined, rules_of
from meshpact.contracts.review.trials import Trials

_RULES = ".buf.validate."


class Side:
    """The contracts of one side."""

    def __init__(self, contracts: Contracts) -> None:
        self._files = contracts.image.files
        self.messages = contracts.messages

    def numbers(self, enum: str) -> frozenset[int]:
        """The numbers of an enum by its name with the leading dot."""
        return self.enums.get(enum, frozenset())

    def has_rules(self, message: str) -> bool:
        """Whether anything in a message has rules, at any depth."""
        waiting, seen = [message], set[str]()
        while waiting:
            name = waiting.pop()
            if name in seen or name not in self.messages:
                continue
            seen.add(name)
            proto = self.messages[name][1]
            if rules_of(proto.options, "message") is not None or any(
                rules_of(each.options, kind) is not None
                for kind, members in (("field", proto.field), ("oneof", proto.oneof_decl))
                for each in members
            ):
                return True
            waiting += [field.type_name for field in proto.field if field.type_name]
        return False

    @cached_property
    def enums(self) -> Mapping[str, frozenset[int]]:
        """The numbers of all enums."""
        return {name: numbers for file in self._files for name, numbers in _enums(file)}

    @cached_property
    def predefined(self) -> Predefined:
        """The predefined rules, by the name of the rules that they extend and their number."""
        return {
            (each.extendee.removeprefix("."), each.number): (name, expressions)
            for file in self._files
            for name, each in _extensions(file)
            if each.extendee.startswith(_RULES)
            and (expressions := predefined(each.options)) is not None
        }


@dataclass(frozen=True)
class Sides:
    """Both, and what is tried on their rules."""

    old: Side
    new: Side
    trials: Trials = field(default_factory=Trials)

    def __getitem__(self, index: int) -> Side:
        return (self.old, self.new)[index]

    @cached_property
    def drifted(self) -> bool:
        """Whether rules may mean something else though they stand as they stood."""
        enums = self.old.enums, self.new.enums
        if any(numbers != enums[1].get(name, numbers) for name, numbers in enums[0].items()):
            return True
        return self.old.predefined != self.new.predefined


def _extensions(file: FileDescriptorProto) -> Iterator[tuple[str, FieldDescriptorProto]]:
    scope = f"{file.package}." if file.package else ""
    for each in file.extension:
        yield f"{scope}{each.name}", each
    for name, message in _messages(scope, file.message_type):
        for each in message.extension:
            yield f"{name}.{each.name}", each


def _messages(
    scope: str, messages: Iterable[DescriptorProto]
) -> Iterator[tuple[str, DescriptorProto]]:
    for message in messages:
        name = f"{scope}{message.name}"
        yield name, message
        yield from _messages(f"{name}.", message.nested_type)


def _enums(file: FileDescriptorProto) -> Iterator[tuple[str, frozenset[int]]]:
    scope = f".{file.package}." if file.package else "."
    for enum in file.enum_type:
        yield _numbers(scope, enum)
    for name, message in _messages(scope, file.message_type):
        for enum in message.enum_type:
            yield _numbers(f"{name}.", enum)


def _numbers(scope: str, enum: EnumDescriptorProto) -> tuple[str, frozenset[int]]:
    return f"{scope}{enum.name}", frozenset(value.number for value in enum.value)
