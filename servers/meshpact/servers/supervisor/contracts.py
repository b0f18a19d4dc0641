"""The contracts of a whole running mesh in one file, for tools without generated code."""

from __future__ import annotations

from collections.abc import Iterable

from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.message import DecodeError

from meshpact.certs.files import write_whole
from meshpact.mesh.state import State
from meshpact.servers.contracts import combined


def merge_contracts(state: State, services: Iterable[str]) -> None:
    """Write the contracts of these services into one protoset, from those that each one wrote."""
    sets: list[FileDescriptorSet] = []
    for name in services:
        try:
            written = (state.contracts / f"{name}.binpb").read_bytes()
            sets.append(FileDescriptorSet.FromString(written))
        except (DecodeError, OSError):
            continue
    write_whole(state.contracts_file, combined(sets).SerializeToString())
