"""The contracts of a running mesh as files: what tools read that have no generated code.

Each service writes its own, the supervisor puts them together in `.meshpact/contracts.binpb`, a
FileDescriptorSet as protoc's `--descriptor_set_out` and grpcurl's `-protoset` know it.
"""

from __future__ import annotations

from collections.abc import Iterable

from google.protobuf.descriptor import FileDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet

from meshpact.certs.files import private_directory, write_whole
from meshpact.interceptors.spec import ServiceSpec
from meshpact.mesh.state import State
from meshpact.servers.filedescriptors import ERROR_DETAILS, whole


def write_contracts(state: State, service: str, specs: Iterable[ServiceSpec]) -> None:
    """Write the contracts that one process serves."""
    private_directory(state.contracts)
    path = state.contracts / f"{service}.binpb"
    write_whole(path, protoset(specs).SerializeToString(deterministic=True))


def protoset(specs: Iterable[ServiceSpec]) -> FileDescriptorSet:
    """The files of these services, all they import, and the details of errors: tools can then show
    a refusal in words. Imported files first."""
    files: dict[str, FileDescriptor] = {}

    def add(file: FileDescriptor) -> None:
        if file.name not in files:
            for imported in file.dependencies:
                add(imported)
            files[file.name] = file

    for spec in specs:
        add(spec.descriptor.file)
    add(ERROR_DETAILS)
    return FileDescriptorSet(file=map(whole, files.values()))


def combined(sets: Iterable[FileDescriptorSet]) -> FileDescriptorSet:
    """One protoset of several; of files of the same name the first counts."""
    files: dict[str, FileDescriptorProto] = {}
    for one in sets:
        for file in one.file:
            files.setdefault(file.name, file)
    return FileDescriptorSet(file=files.values())
