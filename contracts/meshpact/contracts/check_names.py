"""Names of a contract that would meet each other, or Python itself, in the generated modules."""

from __future__ import annotations

import graphlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from google.protobuf.descriptor_pb2 import FileDescriptorProto

from meshpact.contracts import names, thirdparty
from meshpact.contracts.faults import Fault
from meshpact.contracts.model import Contracts, File

_Named = tuple[str, str, tuple[int, ...]]
"""A Python name, the subject it belongs to, and the subject's descriptor path."""

_DEPENDENCY: Final = FileDescriptorProto.DEPENDENCY_FIELD_NUMBER
_NONE: Final[Mapping[str, str]] = {}
_IMPORTED: Final[Mapping[str, str]] = dict.fromkeys(
    ("AsyncIterable", "AsyncIterator", "ClassVar", "Iterable", "Iterator", "TYPE_CHECKING"),
    "what every generated module imports",
)


def find(contracts: Contracts, file: File) -> Iterator[Fault]:
    """The faults of all names in a file."""
    if part := names.bad_module_part(file.name):
        yield Fault(
            contracts.image.place(file.name),
            "",
            f"{part!r} in the path of the contract is no name of a Python module",
            "rename the folder or file: letters, digits and underscores, and no Python keyword",
        )
    for position, imported in enumerate(file.proto.dependency):
        if right := thirdparty.MISNAMED.get(imported):
            yield Fault(
                contracts.image.place(file.name, *file.locations.of((_DEPENDENCY, position))),
                "",
                f"the messages of {imported} do not load by this name",
                f'import "{right}" in its place',
            )
    yield from _clashes(contracts, file, _module_names(file), _IMPORTED)
    for service in file.services:
        methods = [(method.attribute, method.name, method.path) for method in service.methods]
        yield from _clashes(contracts, file, methods)


def cycles(contracts: Contracts) -> Iterator[Fault]:
    """Files whose services list each other's errors, so that neither module can come first."""
    graph = {file.name: _error_files(contracts, file) for file in contracts.files}
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        ring = sorted(set(error.args[1]))
        yield Fault(
            contracts.image.place(ring[0]),
            "",
            f"the services of {' and '.join(ring)} list errors of each other",
            "move the error enums to a file of their own",
        )


def _error_files(contracts: Contracts, file: File) -> set[str]:
    return {
        error.file
        for service in file.services
        for method in service.methods
        for error in contracts.errors_of(method)
    } - {file.name}


def _module_names(file: File) -> Iterator[_Named]:
    for error in file.errors:
        if error.reason:
            yield error.class_name, error.full_name, error.path
    for service in file.services:
        name = service.proto.name
        for suffix in ("Base", "BaseSync", "Client", "ClientSync"):
            yield name + suffix, service.full_name, service.path
        yield service.constant, service.full_name, service.path
        yield f"_{service.constant}", service.full_name, service.path
        for method in service.methods:
            yield method.constant, method.name, method.path


def _clashes(
    contracts: Contracts, file: File, named: Iterable[_Named], taken: Mapping[str, str] = _NONE
) -> Iterator[Fault]:
    first = dict(taken)
    for name, subject, path in named:
        if name in first:
            yield Fault(
                contracts.image.place(file.name, *file.locations.of(path)),
                subject,
                f"its generated name {name} is that of {first[name]} too",
                "rename one of them, or move one to another file",
            )
        first.setdefault(name, subject)
