"""The contracts of a whole running mesh in one file, for tools without generated code."""

from __future__ import annotations

from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.message import DecodeError

from meshpact.certs.files import write_whole
from meshpact.mesh.state import State
from meshpact.servers.contracts import combined


def merge_contracts(state: State) -> None:
    """Write the contracts of all services into one protoset, from those that each one wrote."""
    sets: list[FileDescriptorSet] = []
    for path in sorted(state.contracts.glob("*.binpb")):
        try:
            sets.append(FileDescriptorSet.FromString(path.read_bytes()))
        except (DecodeError, OSError):
            continue
    write_whole(state.contracts_file, combined(sets).SerializeToString())
