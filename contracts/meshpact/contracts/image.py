"""Contracts compiled: protoc run over the user's roots, all imports resolved from this install.

The image is what everything else reads: the checks, the generator, and buf (which cannot resolve
imports offline and therefore gets images, never sources).
"""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Final

from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet

from meshpact.contracts import bufimage, jsonnames, locations, ownvocabulary, sourcetext, thirdparty
from meshpact.contracts.faults import ContractsError, Fault, Place, WrongUse
from meshpact.contracts.roots import refuse_links_out
from meshpact.contracts.roots import sources as sources
from meshpact.contracts.sourcetext import Oddity


@dataclass(frozen=True)
class Image:
    """Compiled contracts, imports included and in an order in which each file follows its imports.

    `own` maps the user's own files to where their sources are (None: not at hand); all other files
    are imports.
    """

    files: tuple[FileDescriptorProto, ...]
    own: dict[str, Path | None]
    vocabulary_agrees: bool = True
    """Whether this process reads options by the policy.proto that was compiled."""
    unused_imports: Mapping[str, frozenset[str]] = field(default_factory=dict[str, frozenset[str]])
    """Imports that a file does not need, by its name; none where nobody looked."""
    passed_over: tuple[Oddity, ...] = ()
    """What is refused, and was taken as protoc takes it; none but where that was asked for."""

    @cached_property
    def own_files(self) -> tuple[FileDescriptorProto, ...]:
        """The user's own files."""
        return tuple(file for file in self.files if file.name in self.own)

    @cached_property
    def buf_bytes(self) -> bytes:
        """The image as buf takes it: a FileDescriptorSet whose imports are marked as such, and
        stand without comments and places."""
        parts: list[bytes] = []
        for file in self.files:
            content = file.SerializeToString(deterministic=True)
            if file.name not in self.own:
                content = bufimage.bare(content)
            content += bufimage.extension(
                file, own=file.name in self.own, unused=self.unused_imports.get(file.name, ())
            )
            parts += [b"\x0a", bufimage.varint(len(content)), content]
        return b"".join(parts)

    @cached_property
    def bare(self) -> Mapping[str, bytes]:
        """What each of the user's own files says, by name: without comments and places."""
        return {
            file.name: bufimage.bare(file.SerializeToString(deterministic=True))
            for file in self.own_files
        }

    @cached_property
    def plain_bytes(self) -> bytes:
        """The image as protoc takes it: it then writes what it would write from the sources."""
        plain = FileDescriptorSet(file=self.files)
        for file in plain.file:
            jsonnames.drop(file)
        return plain.SerializeToString(deterministic=True)

    def place(self, file: str, line: int = 0, column: int = 0) -> Place:
        """A place as the user knows it: the path of the source, else the name of the contract."""
        source = self.own.get(file)
        return Place(file if source is None else str(source), line, column)


def compile_image(
    roots: Sequence[Path], includes: Sequence[Path] = (), *, as_protoc_does: bool = False
) -> Image:
    """Compile every .proto below `roots`; `includes` are searched for imports only.

    `as_protoc_does` is for what stands and can no longer be changed: text that protoc passes over
    in silence is no fault then, but is told in the image. Raises ContractsError with every fault
    protoc finds, WrongUse for roots without contracts and where protoc was killed.
    """
    own = sources(roots, includes)
    passed_over = _oddities(own.values(), as_protoc_does)
    with tempfile.TemporaryDirectory(prefix="meshpact-") as folder:
        installed, output = Path(folder, "installed.bin"), Path(folder, "image.bin")
        installed.write_bytes(thirdparty.descriptors().SerializeToString())
        paths = (*roots, *includes, *thirdparty.include_paths())
        done = run_protoc(
            *(f"--proto_path={path}" for path in paths),
            f"--descriptor_set_in={installed}",
            "--include_imports",
            "--include_source_info",
            "--retain_options",  # what protoc itself checks again when it reads the image
            f"--descriptor_set_out={output}",
            *own,
            *(name for name in thirdparty.STATUS if name not in own),
        )
        if done.returncode != 0:
            faults = list(_faults(done.stderr, own, roots))
            raise ContractsError(faults or [Fault(Place("protoc"), "", done.stderr.strip())])
        data = output.read_bytes()
        unused = bufimage.unused_imports(done.stderr, own)
    vocabulary_agrees = ownvocabulary.load(FileDescriptorSet.FromString(data).file, paths)
    files = tuple(FileDescriptorSet.FromString(data).file)  # again: options are known from now on
    imports = [file.name for file in files if file.name not in own]
    refuse_links_out(imports, roots, includes)
    sought = (folder / name for name in imports for folder in (*roots, *includes))
    passed_over += _oddities((path for path in sought if path.is_file()), as_protoc_does)
    if passed_over:
        for file in files:
            _read_comments(file)
    return Image(files, dict(own), vocabulary_agrees, unused, passed_over)


def run_protoc(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run protoc in a process of its own (it writes its errors to the file descriptor itself).

    WrongUse where a signal ended it; ValueError for an argument that protoc would take for a file
    of arguments.
    """
    if any(argument.startswith("@") for argument in arguments):
        raise ValueError("protoc takes what begins with @ for a file of arguments")
    done = subprocess.run(  # noqa: S603 - our own interpreter, arguments without a shell
        [sys.executable, "-P", "-m", "grpc_tools.protoc", *arguments],  # no modules of the folder
        capture_output=True,
        text=True,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    refuse_killed("protoc", done.returncode)
    return done


def refuse_killed(program: str, code: int) -> None:
    """Raise WrongUse for the exit code of a process that a signal ended."""
    if code < 0:
        raise WrongUse(
            f"{program} was ended by {signal.Signals(-code).name}: see that there is memory and "
            "room on the disk, and that nothing limits it"
        )


def _oddities(sources: Iterable[Path], as_protoc_does: bool) -> tuple[Oddity, ...]:
    """What is to be told of the texts. ContractsError for what is refused."""
    if not as_protoc_does:
        if found := list(sourcetext.faults(sources)):
            raise ContractsError(found)
        return ()
    odd = [oddity for path in sources for oddity in sourcetext.oddities(path)]
    if refused := [oddity.fault for oddity in odd if not oddity.effect]:
        raise ContractsError(refused)
    return tuple(odd)


def _read_comments(file: FileDescriptorProto) -> None:
    """Make text of comments that are none: such a field is bytes until then."""
    for location in file.source_code_info.location:
        for name in ("leading_comments", "trailing_comments"):
            comment: object = getattr(location, name)
            if isinstance(comment, bytes):
                setattr(location, name, comment.decode(errors="replace"))
        detached: list[object] = list(location.leading_detached_comments)
        if any(isinstance(comment, bytes) for comment in detached):
            del location.leading_detached_comments[:]  # nobody reads them


_LINE: Final = re.compile(
    r"(?P<file>[^:\n]+\.proto):(?:(?P<line>\d+):(?P<column>\d+):)? (?P<text>.*)"
)
_LOG: Final = re.compile(r"[IWEF]\d{4} |WARNING: All log messages ")
_NO_FIELD: Final = re.compile(r'Message type "(?P<type>[\w.]+)" has no field named "(?P<name>\w+)"')
_NO_VALUE: Final = re.compile(r'value of "(?P<name>\w+)" for field "(?P<field>\w+)"')


def _faults(stderr: str, own: dict[str, Path], roots: Sequence[Path]) -> Iterator[Fault]:
    """protoc's own words, each with what to do about it; it names files by path or by name."""
    paths = own | {str(path): path for path in own.values()}
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
        path, column = paths.get(file), int(match["column"] or 0)
        if path is not None and column:
            column = locations.column(path, line, column)
            if wrong := _NO_FIELD.search(message):
                line, column = locations.inside(path, line, column, wrong["name"])
            elif wrong := _NO_VALUE.search(message):
                names = wrong["field"], wrong["name"]
                line, column = locations.inside(path, line, column, *names)
        place = Place(file if path is None else str(path), line, column)
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
    from meshpact.contracts import vocabulary  # what is installed, and late: see `ownvocabulary`

    if match := _NO_FIELD.search(message):
        return vocabulary.instead_of_field(match["type"], match["name"])
    if match := _NO_VALUE.search(message):
        return vocabulary.instead_of_value(match["field"], match["name"])
    if "is not defined" in message:
        return "correct the name, or import the file that defines it"
    return ""
