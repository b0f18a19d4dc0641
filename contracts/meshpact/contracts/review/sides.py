"""The two sides of a review, each read from where it is: a folder, an image, or a commit of git."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet
from google.protobuf.message import DecodeError
from google.protobuf.unknown_fields import UnknownFieldSet

from meshpact.contracts import image as images
from meshpact.contracts.access import revisions
from meshpact.contracts.faults import ContractsError, Place, WrongUse
from meshpact.contracts.image import Image, compile_image
from meshpact.contracts.review.gitobjects import Repository
from meshpact.contracts.review.imagefiles import in_order
from meshpact.contracts.review.model import Unreadable
from meshpact.contracts.review.versions import newer_policies

MAX_IMAGE: Final = 64 * 2**20
"""Bytes of an image that are read; protobuf's own limit for long."""
_OTHERS: Final = (
    "google/protobuf/",
    "google/api/",
    "google/rpc/",
    "google/type/",
    "google/longrunning/",
    "buf/validate/",
    "meshpact/policy/",
)
_BUF_EXTENSION: Final = 8042
_IS_IMPORT: Final = b"\x08\x01"
_TOLD: Final = 4
"""Places of one side that are told in one line."""


@dataclass(frozen=True)
class Asked:
    """Where contracts stand: the roots, folders for imports, and mesh.yaml, in the working tree."""

    protos: Sequence[Path]
    includes: Sequence[Path] = ()
    mesh: Path | None = None


@dataclass(frozen=True)
class Side:
    """One side: its contracts compiled, its mesh.yaml, and what people call it."""

    name: str
    image: Image
    mesh: Path | None
    shown: Mapping[str, str]
    """Folders that stand for others in paths that people see."""
    remarks: tuple[str, ...] = ()
    """What is to be said of how it was read."""

    def show(self, place: Place) -> Place:
        """A place as people know it."""
        for folder, name in self.shown.items():
            if place.file.startswith(folder):
                return Place(name + place.file.removeprefix(folder), place.line, place.column)
        return place


@contextlib.contextmanager
def working_tree(asked: Asked) -> Generator[Side]:
    """What stands in the folders now."""
    yield _side("the working tree", asked, {}, stands=False)


@contextlib.contextmanager
def side_named(
    name: str, asked: Asked, folder: Path, since: str = "", *, stands: bool = False
) -> Generator[Side]:
    """The side that `name` names: a folder, an image, or a reference of git.

    With `since`, a reference of git stands for the commit at which `since` left it. `folder` is an
    empty one to write to. `stands` is for the old side, which no change can mend any more: what
    protoc passes over in silence is told, and not refused. Raises WrongUse, Unreadable and
    MeshFileError.
    """
    path = Path(name)
    if path.is_dir():
        yield _folder(path, asked, stands=stands)
    elif path.is_file():
        yield _image_file(path, asked)
    else:
        with _commit(name, asked, folder, since, stands=stands) as side:
            yield side


def _folder(path: Path, asked: Asked, *, stands: bool) -> Side:
    def there(each: Path) -> Path:
        return path / each if not each.is_absolute() and (path / each).is_dir() else path

    protos = list(dict.fromkeys(there(root) for root in asked.protos))
    includes = [path / each for each in asked.includes if (path / each).is_dir()]
    mesh = path / asked.mesh if asked.mesh is not None and not asked.mesh.is_absolute() else None
    found = Asked(protos, includes, mesh if mesh is not None and mesh.is_file() else None)
    return _side(str(path), found, {}, stands=stands)


@contextlib.contextmanager
def _commit(name: str, asked: Asked, folder: Path, since: str, *, stands: bool) -> Generator[Side]:
    repository = Repository.around(asked.protos[0])
    commit = tip = repository.commit(name)
    if since:
        commit = repository.fork(tip, repository.commit(since)) or tip
    label = f"{name} ({commit[:12]})" if commit == tip else f"{name} as it was at {commit[:12]}"
    with commit_side(repository, commit, asked, folder, label, name, stands=stands) as side:
        yield side


@contextlib.contextmanager
def commit_side(
    repository: Repository,
    commit: str,
    asked: Asked,
    folder: Path,
    label: str,
    asked_as: str = "",
    known: Image | None = None,
    *,
    stands: bool = True,
) -> Generator[Side]:
    """The side that a commit is, its contracts written below `folder`.

    Roots that the commit lacks are wrong use where somebody asked for it by the name `asked_as`;
    else they are left out, and a commit without any contract has an empty image. `known` is what
    its contracts are known to compile to.
    """
    roots = [repository.inside(root) for root in asked.protos]
    includes = [repository.inside(each) for each in asked.includes if _is_in(repository.top, each)]
    outside = [each for each in asked.includes if not _is_in(repository.top, each)]
    unread = repository.export(commit, [*roots, *includes], folder)
    if unread and not stands:
        raise Unreadable(f"{label} cannot be reviewed: {unread[0]}")
    for root in roots:
        if asked_as and not (folder / root).is_dir():
            raise WrongUse(
                f"{asked_as} has no .proto file below {root}: there is nothing to compare with. "
                "If the folder had another name, give that: --against-protos DIR"
            )
    there = [folder / root for root in roots if asked_as or _may_hold(folder / root)]
    mesh = repository.inside(asked.mesh) if asked.mesh is not None else ""
    if mesh and not repository.has(commit, mesh):
        mesh = ""
    shown = {f"{folder}/": f"{commit[:12]}:"}
    with revisions.mesh_file(f"{commit}:{mesh}") if mesh else contextlib.nullcontext() as copy:
        if not there:
            yield Side(label, Image((), {}), copy, shown)
        elif known is not None:
            own: dict[str, Path | None] = dict(images.sources(there))
            yield Side(label, replace(known, own=own), copy, shown)
        else:
            found = [*(folder / each for each in includes), *outside]
            side = _side(label, Asked(there, found, copy), shown, stands=stands)
            told = tuple(f"{each}; what is there was not read" for each in unread)
            yield replace(side, remarks=(*side.remarks, *told))


def _may_hold(root: Path) -> bool:
    """Whether there is a contract below a root, or a link that may lead to one."""
    return any(path.suffix == ".proto" or path.is_symlink() for path in root.rglob("*"))


def _is_in(top: Path, path: Path) -> bool:
    return path.absolute().resolve().is_relative_to(top.resolve())


def _side(name: str, asked: Asked, shown: Mapping[str, str], *, stands: bool) -> Side:
    try:
        image = compile_image(asked.protos, asked.includes, as_protoc_does=stands)
    except (ContractsError, WrongUse) as error:
        text = str(error)
        for folder, known in shown.items():
            text = text.replace(folder, known)
        raise Unreadable(f"{name} cannot be reviewed: {text}") from None
    _refuse_newer(name, image)
    side = Side(name, image, asked.mesh, shown)
    return replace(side, remarks=tuple(_passed_over(side)))


def _passed_over(side: Side) -> Iterator[str]:
    """One line on what protoc makes of text that is refused on the new side."""
    told = [f"{side.show(each.fault.place)}: {each.effect}" for each in side.image.passed_over]
    if told:
        more = f"; and {len(told) - _TOLD} more such places" if len(told) > _TOLD else ""
        yield (
            f"{side.name} holds what is refused now, and was read as protoc reads it: "
            f"{'; '.join(told[:_TOLD])}{more}"
        )


def _image_file(path: Path, asked: Asked) -> Side:
    size = path.stat().st_size
    if size > MAX_IMAGE:
        raise Unreadable(
            f"{path} has {size:,} bytes; an image may have {MAX_IMAGE:,}. "
            "Leave out what is not your own: buf build --path, or protoc without "
            "--include_source_info"
        )
    try:
        files = list(FileDescriptorSet.FromString(path.read_bytes()).file)
    except (OSError, DecodeError) as error:
        raise Unreadable(
            f"{path} is no image ({type(error).__name__}); one is written by buf build -o "
            "image.binpb or protoc --include_imports --descriptor_set_out=image.binpb"
        ) from None
    if not files or not all(file.name for file in files):
        raise Unreadable(f"{path} holds no contracts")
    files = in_order(str(path), files)
    marked = {file.name for file in files if _is_import(file)}
    own = {
        file.name: None
        for file in files
        if file.name not in marked and (marked or not file.name.startswith(_OTHERS))
    }
    image = Image(tuple(files), dict(own))
    _refuse_newer(str(path), image)
    return Side(str(path), image, None, {})


def _is_import(file: FileDescriptorProto) -> bool:
    """Whether buf marked a file as an import, which it does in a field that descriptors lack."""
    unknown = UnknownFieldSet(file)
    return any(
        unknown[index].field_number == _BUF_EXTENSION
        and bytes(unknown[index].data).startswith(_IS_IMPORT)
        for index in range(len(unknown))
    )


def _refuse_newer(name: str, image: Image) -> None:
    if newer := newer_policies(image):
        lines = "\n".join(f"{place}: {what}" for place, what in newer)
        raise Unreadable(
            f"{name} has policies that this Meshpact does not know; update it, or write what it "
            f"knows:\n{lines}"
        )
