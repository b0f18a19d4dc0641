"""Where the contracts of a mesh are found: their sources, what runs, or what was generated."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet
from google.protobuf.message import DecodeError

from meshpact.contracts.faults import WrongUse
from meshpact.contracts.image import Image, compile_image

SOURCES: Final = "protos"
GENERATED: Final = "generated"


def find_contracts(protos: Sequence[Path], beside: Path, protoset: Path) -> Image:
    """The contracts below `protos`; without any, the first that is there: the folder `protos` in
    `beside`, the file `protoset` of a mesh that ran, the folder `generated` in `beside`.

    Only sources have lines. Raises ContractsError and WrongUse.
    """
    if protos:
        return compile_image(protos)
    if find_spec("grpc_tools") is not None and any((beside / SOURCES).rglob("*.proto")):
        return compile_image([beside / SOURCES])
    if protoset.is_file():
        try:
            return image_of(FileDescriptorSet.FromString(protoset.read_bytes()).file)
        except (OSError, DecodeError) as error:
            raise WrongUse(f"{protoset} holds no contracts ({type(error).__name__})") from None
    if found := list(_generated(beside / GENERATED)):
        return image_of(found)
    raise WrongUse(
        f"no contracts are found: there is no {beside / SOURCES}, no {protoset} (meshpact up "
        f"writes it), no {beside / GENERATED}. Say where they are: --protos DIR"
    )


def image_of(files: Sequence[FileDescriptorProto]) -> Image:
    """An image of contracts without their sources."""
    return Image(tuple(files), {file.name: None for file in files})


def _generated(folder: Path) -> Iterator[FileDescriptorProto]:
    """The contracts inside generated modules, read without running these."""
    for path in sorted(folder.rglob("*_pb2.py")):
        for node in ast.walk(ast.parse(path.read_bytes())):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr == "AddSerializedFile"
                and isinstance(node.args[0], ast.Constant)
                and isinstance(node.args[0].value, bytes)
            ):
                yield FileDescriptorProto.FromString(node.args[0].value)
