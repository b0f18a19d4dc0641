"""Contracts compiled: protoc run over the user's roots, all imports resolved from this install.

The image is what everything else reads: the checks, the generator, and buf (which cannot resolve
imports offline and therefore gets images, never sources).
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
)

from meshpact.contracts import thirdparty, vocabulary
from meshpact.contracts.faults import ContractsError, Fault, Place, WrongUse

_IS_IMPORT: Final = b"\xd2\xf6\x03\x02\x08\x01"
"""buf.alpha.image.v1.ImageFile.buf_extension (field 8042) { is_import (field 1): true }."""


@dataclass(frozen=True)
class Image:
    """Compiled contracts, imports included and in an order in which each file follows its imports.

    `own` maps the user's own files to where their sources are (None: not at hand); all other files
    are imports.
    """

    files: tuple[FileDescriptorProto, ...]
    own: dict[str, Path | None]

    @cached_property
    def own_files(self) -> tuple[FileDescriptorProto, ...]:
        """The user's own files."""
        return tuple(file for file in self.files if file.name in self.own)

    @cached_property
    def buf_bytes(self) -> bytes:
        """The image as buf takes it: a FileDescriptorSet whose imports are marked as such."""
        parts: list[bytes] = []
        for file in self.files:
            content = file.SerializeToString(deterministic=True)
            if file.name not in self.own:
                content += _IS_IMPORT
            parts += [b"\x0a", _varint(len(content)), content]
        return b"".join(parts)

    @cached_property
    def plain_bytes(self) -> bytes:
        """The image as protoc takes it: it then writes what it would write from the sources."""
        plain = FileDescriptorSet(file=self.files)
        for file in plain.file:
            _drop_json_names(file.extension)
            for message in file.message_type:
                _drop_json_names_in(message)
        return plain.SerializeToString(deterministic=True)

    def place(self, file: str, line: int = 0, column: int = 0) -> Place:
        """A place as the user knows it: the path of the source, else the name of the contract."""
        source = self.own.get(file)
        return Place(file if source is None else str(source), line, column)


def compile_image(roots: Sequence[Path], includes: Sequence[Path] = ()) -> Image:
    """Compile every .proto below `roots`; `includes` are searched for imports only.

    Raises ContractsError with every fault protoc finds, WrongUse for roots without contracts.
    """
    own = sources(roots)
    with tempfile.TemporaryDirectory(prefix="meshpact-") as folder:
        installed, output = Path(folder, "installed.bin"), Path(folder, "image.bin")
        installed.write_bytes(thirdparty.descriptors().SerializeToString())
        paths = (*roots, *includes, *thirdparty.include_paths())
        done = run_protoc(
            *(f"--proto_path={path}" for path in paths),
            f"--descriptor_set_in={installed}",
            "--include_imports",
            "--include_source_info",
            f"--descriptor_set_out={output}",
            *own,
            *(name for name in thirdparty.STATUS if name not in own),
        )
        if done.returncode != 0:
            faults = list(_faults(done.stderr, own, roots))
            raise ContractsError(faults or [Fault(Place("protoc"), "", done.stderr.strip())])
        files = FileDescriptorSet.FromString(output.read_bytes()).file
    return Image(tuple(files), dict(own))


def sources(roots: Sequence[Path]) -> dict[str, Path]:
    """The contracts below `roots`: name for imports (`acme/v1/a.proto`) -> path, by name."""
    found: dict[str, Path] = {}
    for root in roots:
        if not root.is_dir():
            raise WrongUse(f"{root} is not a folder: give the folder that holds your contracts")
        for path in _below(root):
            name = path.relative_to(root).as_posix()
            if name in found:
                raise WrongUse(f"{name} stands in two roots, {found[name]} and {path}: keep one")
            found[name] = path
    if not found:
        folders = ", ".join(str(root) for root in roots)
        raise WrongUse(
            f"there is no .proto file below {folders}: give the folder of your contracts"
        )
    return dict(sorted(found.items()))


def _below(root: Path) -> Iterator[Path]:
    """The .proto files below a root, hidden folders and virtual environments left out."""
    for folder, folders, files in os.walk(root):
        here = Path(folder)
        folders[:] = [
            name
            for name in folders
            if not name.startswith(".") and not (here / name / "pyvenv.cfg").exists()
        ]
        yield from (here / name for name in files if name.endswith(".proto"))


def run_protoc(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run protoc in a process of its own (it writes its errors to the file descriptor itself)."""
    return subprocess.run(  # noqa: S603 - our own interpreter, arguments without a shell
        [sys.executable, "-m", "grpc_tools.protoc", *arguments],
        capture_output=True,
        text=True,
        encoding="utf-8",
        errors="replace",
        check=False,
    )


_LINE: Final = re.compile(
    r"(?P<file>[^:\n]+\.proto):(?:(?P<line>\d+):(?P<column>\d+):)? (?P<text>.*)"
)
_LOG: Final = re.compile(r"[IWEF]\d{4} |WARNING: All log messages ")
_NO_FIELD: Final = re.compile(r'Message type "(?P<type>[\w.]+)" has no field named "(?P<name>\w+)"')
_NO_VALUE: Final = re.compile(r'value of "(?P<name>\w+)" for field "(?P<field>\w+)"')


def _faults(stderr: str, own: dict[str, Path], roots: Sequence[Path]) -> Iterator[Fault]:
    """protoc's own words, each with what to do about it."""
    for text in stderr.splitlines():
        match = _LINE.fullmatch(text.strip())
        if match is None:
            if not _LOG.match(text):
                yield Fault(Place("protoc"), "", text.strip())
            continue
        message, line = match["text"], int(match["line"] or 0)
        if message.startswith("warning: ") or (message == "File not found." and not line):
            continue  # what is missing is told again at its import
        file = match["file"]
        place = Place(str(own.get(file, file)), line, int(match["column"] or 0))
        yield Fault(place, "", message, _remedy(message, roots))


def _remedy(message: str, roots: Sequence[Path]) -> str:
    if "was not found or had errors" in message:
        folders = ", ".join(str(root) for root in roots)
        return (
            f"put the file below one of your roots ({folders}), or give its folder with "
            "--include; installed with meshpact are google/{protobuf,api,rpc,type,longrunning}, "
            "buf/validate and meshpact/policy"
        )
    if 'Option "(meshpact.policy.v1.' in message and "unknown" in message:
        return f'add import "{thirdparty.POLICY}";'
    if 'Option "(buf.validate.' in message and "unknown" in message:
        return f'add import "{thirdparty.VALIDATE}";'
    if match := _NO_FIELD.search(message):
        return vocabulary.instead_of_field(match["type"], match["name"])
    if match := _NO_VALUE.search(message):
        return vocabulary.instead_of_value(match["field"], match["name"])
    if "is not defined" in message:
        return "correct the name, or import the file that defines it"
    return ""


def _drop_json_names_in(message: DescriptorProto) -> None:
    _drop_json_names(message.field)
    _drop_json_names(message.extension)
    for inner in message.nested_type:
        _drop_json_names_in(inner)


def _drop_json_names(fields: Iterable[FieldDescriptorProto]) -> None:
    """Drop the names that protoc fills in itself; kept, they would count as the author's own."""
    for field in fields:
        words = field.name.split("_")
        if field.json_name == words[0] + "".join(word[:1].upper() + word[1:] for word in words[1:]):
            field.ClearField("json_name")


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)
