"""What buf keeps of a file beside its descriptor: buf.alpha.image.v1.ImageFile.buf_extension.

Without it buf would lint imports, and could not tell which imports are unused and which files state
no syntax: a descriptor has none of it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Final

from google.protobuf.descriptor_pb2 import FileDescriptorProto

_TAG: Final = b"\xd2\xf6\x03"
"""Field 8042, a message of: is_import (1), is_syntax_unspecified (3), unused_dependency (4)."""

_IS_IMPORT: Final = b"\x08\x01"
_NO_SYNTAX: Final = b"\x18\x01"
_UNUSED: Final = b"\x20"
_SYNTAX: Final = (12,)
_WARNING: Final = re.compile(
    r"(?P<file>.+?):\d+:\d+: warning: Import (?P<import>\S+) is unused\.", re.MULTILINE
)


def extension(file: FileDescriptorProto, *, own: bool, unused: Collection[str]) -> bytes:
    """The extension of one file, to be put behind its bytes; `unused` are names of imports."""
    if not own:
        content = _IS_IMPORT
    else:
        content = b"" if _states_syntax(file) else _NO_SYNTAX
        for index, name in enumerate(file.dependency):
            if name in unused:
                content += _UNUSED + varint(index)
    return _TAG + varint(len(content)) + content if content else b""


def unused_imports(stderr: str, own: Mapping[str, Path]) -> dict[str, frozenset[str]]:
    """The imports that protoc warned of by the file that has them."""
    names = {os.path.normpath(path): name for name, path in own.items()}
    found: dict[str, set[str]] = {}
    for match in _WARNING.finditer(stderr):
        name = names.get(os.path.normpath(match["file"]))
        if name is not None:
            found.setdefault(name, set()).add(match["import"])
    return {name: frozenset(imports) for name, imports in found.items()}


def varint(number: int) -> bytes:
    """A number as the wire has it."""
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _states_syntax(file: FileDescriptorProto) -> bool:
    if file.syntax:
        return True
    return any(tuple(location.path) == _SYNTAX for location in file.source_code_info.location)
