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
_VARINT: Final = 0
_LENGTH_DELIMITED: Final = 2
_SOURCE_CODE_INFO: Final = 9 << 3 | _LENGTH_DELIMITED
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


def bare(content: bytes) -> bytes:
    """A FileDescriptorProto as bytes without its places and comments (source_code_info)."""
    at, kept, since = 0, b"", 0
    while at < len(content):
        begin = at
        tag, at = _varint(content, at)
        if tag & 7 == _LENGTH_DELIMITED:
            size, at = _varint(content, at)
            at += size
        elif tag & 7 == _VARINT:
            _, at = _varint(content, at)
        else:
            return _bare(content)
        if tag == _SOURCE_CODE_INFO:
            kept += content[since:begin]
            since = at
    return kept + content[since:]


def varint(number: int) -> bytes:
    """A number as the wire has it."""
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _varint(content: bytes, at: int) -> tuple[int, int]:
    """The number at an offset, and the offset behind it."""
    number = shift = 0
    while (byte := content[at]) > 0x7F:
        number |= (byte & 0x7F) << shift
        shift += 7
        at += 1
    return number | byte << shift, at + 1


def _bare(content: bytes) -> bytes:
    """The same, for files with fields that no file of today has."""
    file = FileDescriptorProto.FromString(content)
    file.ClearField("source_code_info")
    return file.SerializeToString(deterministic=True)


def _states_syntax(file: FileDescriptorProto) -> bool:
    if file.syntax:
        return True
    return any(tuple(location.path) == _SYNTAX for location in file.source_code_info.location)
