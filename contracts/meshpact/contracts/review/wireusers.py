"""Which methods a finding of buf on the wire is about: it names a type, or a method, and a file."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Final

from google.protobuf.descriptor_pb2 import DescriptorProto, EnumDescriptorProto, FileDescriptorProto

from meshpact.contracts.faults import Fault
from meshpact.contracts.model import Contracts
from meshpact.contracts.review.model import Touch

NAMED: Final = 50
"""Methods of one finding that are named; of more, their number."""
_TYPE: Final = re.compile(r'\b(?:message|enum) "([\w.]+)"')
_RPC: Final = re.compile(r'\bRPC "(\w+)" on service "(\w+)"')
_SERVICE: Final = re.compile(r'\bservice "(\w+)"')
_FILE: Final = re.compile(r'\bfile "(.+?)" was deleted')
_PACKAGE: Final = re.compile(r'\bpackage "([\w.]+)"')


class WireUsers:
    """The methods whose calls have what a finding is about, on either side, by their new names."""

    def __init__(self, old: Contracts, new: Contracts, became: Mapping[str, str]) -> None:
        self._became = became
        self._old, self._new = _Side(old), _Side(new)
        self._names = {str(path): name for name, path in new.image.own.items() if path is not None}

    def touches(self, fault: Fault) -> tuple[Touch, ...]:
        """A touch a method, and one without a method that counts those beyond `NAMED`."""
        methods = sorted(self._methods(fault))
        named = [Touch("uses", "", each, f"{each} takes it") for each in methods[:NAMED]]
        if (rest := len(methods) - NAMED) > 0:
            named.append(Touch("uses", "", "", f"{rest} more methods take it", rest))
        return tuple(named)

    def _methods(self, fault: Fault) -> set[str]:
        name = self._names.get(fault.place.file, fault.place.file)
        now = self._new.at(name, fault)
        was = self._old.methods(name, fault, now)
        return {*self._new.methods(name, fault, now), *(self._became.get(m, m) for m in was)}


class _Side:
    """The types and methods of one side by the words of a finding."""

    def __init__(self, contracts: Contracts) -> None:
        self._contracts = contracts
        self._known: dict[str, frozenset[str]] = {}

    def methods(self, name: str, fault: Fault, at: str) -> Iterator[str]:
        """What a finding in the file of this name is about; `at` is the type that stands there, for
        when its words fit several."""
        message = fault.message
        gone = _FILE.search(message)
        for file in self._files(gone[1] if gone else name, message):
            if gone:
                yield from self._of_file(file)
            elif rpc := _RPC.search(message):
                method = f"{_full(file.package, rpc[2])}/{rpc[1]}"
                yield from [method] if method in self._named else []
            elif type_ := _TYPE.search(message):
                found = [each for each in _types(file) if _ends_with(each, file, type_[1])]
                for each in [at] if at in found else found:
                    yield from self._users(each)
            elif service := _SERVICE.search(message):
                yield from self._by_service[_full(file.package, service[1])]

    def at(self, name: str, fault: Fault) -> str:
        """The innermost type around the place of a finding; "" where none is, or none is asked
        for, as one type alone has the name."""
        type_, file = _TYPE.search(fault.message), self._by_name.get(name)
        if file is None or type_ is None or not fault.place.line:
            return ""
        if sum(_ends_with(each, file, type_[1]) for each in _types(file)) < 2:
            return ""
        place = [fault.place.line - 1, fault.place.column - 1]
        paths = [tuple(x.path) for x in file.source_code_info.location if x.span[:2] == place]
        return _type_at(file, max(paths, key=len) if paths else ())

    @cached_property
    def _by_name(self) -> Mapping[str, FileDescriptorProto]:
        return {file.name: file for file in self._contracts.image.own_files}

    @cached_property
    def _named(self) -> Mapping[str, tuple[str, str]]:
        """The request and response of each method."""
        return {
            method.name: (method.proto.input_type, method.proto.output_type)
            for file in self._contracts.files
            for service in file.services
            for method in service.methods
        }

    @cached_property
    def _by_service(self) -> Mapping[str, list[str]]:
        found: dict[str, list[str]] = defaultdict(list)
        for name in self._named:
            found[name.rpartition("/")[0]].append(name)
        return found

    def _files(self, name: str, message: str) -> Sequence[FileDescriptorProto]:
        """The file itself; without one, those of the package that is named."""
        if name:
            return [self._by_name[name]] if name in self._by_name else []
        package = _PACKAGE.search(message)
        return [each for each in self._by_name.values() if package and each.package == package[1]]

    def _of_file(self, file: FileDescriptorProto) -> Iterator[str]:
        for type_ in _types(file):
            yield from self._users(type_)
        for service in file.service:
            yield from self._by_service[_full(file.package, service.name)]

    def _users(self, type_: str) -> frozenset[str]:
        """The methods whose requests or responses have a type, at any depth."""
        if type_ not in self._known:
            seen, waiting, found = {type_}, [type_], set[str]()
            while waiting:
                each = waiting.pop()
                found.update(self._direct.get(each, ()))
                further = [holder for holder in self._holders.get(each, ()) if holder not in seen]
                seen.update(further)
                waiting += further
            self._known[type_] = frozenset(found)
        return self._known[type_]

    @cached_property
    def _direct(self) -> Mapping[str, list[str]]:
        found: dict[str, list[str]] = defaultdict(list)
        for name, types in self._named.items():
            for type_ in types:
                found[type_].append(name)
        return found

    @cached_property
    def _holders(self) -> Mapping[str, list[str]]:
        """The messages that have a field of a type, by the type."""
        found: dict[str, list[str]] = defaultdict(list)
        for name, (_, message) in self._contracts.messages.items():
            for type_ in {field.type_name for field in message.field} - {""}:
                found[type_].append(name)
        return found


def _full(scope: str, name: str) -> str:
    return f"{scope}.{name}" if scope else name


def _ends_with(type_: str, file: FileDescriptorProto, name: str) -> bool:
    """Whether buf would call a type so: by its own name, or with those around it."""
    inside = type_.removeprefix(f".{file.package}" if file.package else "")
    return inside.endswith(f".{name}")


def _types(file: FileDescriptorProto) -> Iterator[str]:
    """The full names of a file's messages and enums, with the leading dot."""
    scope = f".{file.package}" if file.package else ""
    yield from (f"{scope}.{enum.name}" for enum in file.enum_type)
    yield from _inside(scope, file.message_type)


def _inside(scope: str, messages: Iterable[DescriptorProto]) -> Iterator[str]:
    for message in messages:
        name = f"{scope}.{message.name}"
        yield name
        yield from (f"{name}.{enum.name}" for enum in message.enum_type)
        yield from _inside(name, message.nested_type)


def _type_at(file: FileDescriptorProto, path: Sequence[int]) -> str:
    """The innermost type on a path of descriptor.proto; "" for none."""
    name = f".{file.package}" if file.package else ""
    thing: FileDescriptorProto | DescriptorProto | EnumDescriptorProto = file
    for kind, index in zip(path[::2], path[1::2], strict=False):
        if isinstance(thing, FileDescriptorProto) and kind in (4, 5):
            thing = thing.message_type[index] if kind == 4 else thing.enum_type[index]
        elif isinstance(thing, DescriptorProto) and kind in (3, 4):
            thing = thing.nested_type[index] if kind == 3 else thing.enum_type[index]
        else:
            break
        name = f"{name}.{thing.name}"
    return "" if thing is file else name
