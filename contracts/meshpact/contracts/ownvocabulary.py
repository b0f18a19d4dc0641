"""The policy vocabulary that this program itself reads options with, as policy.proto has it now.

Whoever develops Meshpact adds a field to policy.proto and reads it in Python at once; the module
`policy_pb2` that an earlier run generated does not know it yet. So what compiles contracts takes
the module from the compiled policy.proto, where that is the installed one, before anything loads
the generated module.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Final

from google.protobuf import descriptor_pool
from google.protobuf.descriptor import FileDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.internal.enum_type_wrapper import EnumTypeWrapper
from google.protobuf.message_factory import GetMessageClass

from meshpact.contracts import jsonnames, names, thirdparty

_PACKAGE: Final = "meshpact.policy.v1"
_NAME: Final = "policy_pb2"


def load(files: Iterable[FileDescriptorProto], path: Sequence[Path]) -> bool:
    """Have the options of Meshpact known before contracts are read; False: known otherwise.

    `files` are compiled contracts, `path` is where their imports were looked for. Where the
    installed policy.proto is among them, it is what this process goes by, unless it has loaded
    another state of it before. A copy of another version, in a user's own root, is no such state.
    """
    found = next((file for file in files if file.name == thirdparty.POLICY), None)
    if found is None or not _is_installed(path):
        import_module(f"{_PACKAGE}.{_NAME}")
        return True
    file = _bare(found)
    loaded = sys.modules.get(f"{_PACKAGE}.{_NAME}")
    if loaded is not None:
        known = FileDescriptorProto()
        loaded.DESCRIPTOR.CopyToProto(known)
        return _bare(known) == file
    for dependency in file.dependency:
        import_module(names.module(dependency, "_pb2"))
    pool = descriptor_pool.Default()
    pool.AddSerializedFile(file.SerializeToString())
    module = _module(pool.FindFileByName(file.name))
    sys.modules[module.__name__] = module
    setattr(import_module(_PACKAGE), _NAME, module)
    return True


def _bare(file: FileDescriptorProto) -> FileDescriptorProto:
    """A file as its generated module knows it."""
    bare = FileDescriptorProto()
    bare.CopyFrom(file)
    bare.ClearField("source_code_info")
    jsonnames.drop(bare)
    return bare


def _is_installed(path: Sequence[Path]) -> bool:
    """Whether the first policy.proto on the path is the one beside the installed module."""
    first = next((p for root in path if (p := root / thirdparty.POLICY).is_file()), None)
    installed = thirdparty.include_paths()[0] / thirdparty.POLICY
    return first is not None and first.samefile(installed)


def _module(file: FileDescriptor) -> ModuleType:
    """What protoc writes for a file, made from its descriptor."""
    module = ModuleType(f"{_PACKAGE}.{_NAME}")
    members = vars(module)
    members["DESCRIPTOR"] = file
    for name, message in file.message_types_by_name.items():
        members[name] = GetMessageClass(message)
    for name, enum in file.enum_types_by_name.items():
        members[name] = EnumTypeWrapper(enum)
        members |= {value.name: value.number for value in enum.values}
    members |= dict(file.extensions_by_name)
    return module
