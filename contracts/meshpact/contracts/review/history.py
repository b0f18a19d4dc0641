"""Contracts as they were at many commits: each tree is compiled once, however often it comes."""

from __future__ import annotations

import contextlib
import posixpath
import tempfile
from collections.abc import Generator, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, Self, cast

import yaml
from google.protobuf.descriptor_pb2 import FileDescriptorSet

from meshpact.contracts.access.methods import Overlay
from meshpact.contracts.faults import ContractsError, WrongUse
from meshpact.contracts.image import Image
from meshpact.contracts.review.compare import State
from meshpact.contracts.review.gitobjects import Repository
from meshpact.contracts.review.model import Unreadable
from meshpact.contracts.review.sides import Asked, commit_side
from meshpact.mesh.problems import MeshFileError

Key = tuple[str, ...]
"""The IDs of all objects that a state is made of: equal keys, equal states."""
_BESIDE: Final = ("bindings_file", "overlay")
"""The files that a mesh.yaml names, by its keys."""


class History:
    """The states of a repository's contracts; a context that ends with its temporary files.

    Compiled trees lie on disk; in memory is what the caller holds.
    """

    def __init__(self, repository: Repository, asked: Asked, built_in: Overlay) -> None:
        self._repository = repository
        self._asked = asked
        self._built_in = built_in
        self._paths = [repository.inside(each) for each in asked.protos]
        for each in asked.includes:
            with contextlib.suppress(WrongUse):  # one outside is the same for all commits
                self._paths.append(repository.inside(each))
        self._mesh = repository.inside(asked.mesh) if asked.mesh is not None else ""
        self._images: dict[Key, tuple[Image, Path]] = {}
        self._faults: dict[Key, str] = {}
        self.remarks: list[str] = []
        """What is to be said of how trees were read."""

    def __enter__(self) -> Self:
        self._stack = contextlib.ExitStack()
        self._folder = Path(
            self._stack.enter_context(tempfile.TemporaryDirectory(prefix="meshpact-log-"))
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def keys(self, commits: Sequence[str]) -> list[Key]:
        """The key of each commit."""
        trees = self._repository.objects(commits, self._paths)
        if not self._mesh:
            return trees
        meshes = self._repository.objects(commits, [self._mesh])
        beside = self._repository.objects(commits, self._beside(mesh[0] for mesh in meshes))
        return [tree + mesh + more for tree, mesh, more in zip(trees, meshes, beside, strict=True)]

    @contextlib.contextmanager
    def state(self, commit: str) -> Generator[State]:
        """The state at a commit. Raises Unreadable."""
        (key,) = self._repository.objects([commit], self._paths)
        if fault := self._faults.get(key):
            raise Unreadable(fault)
        known = self._known(key)
        with contextlib.ExitStack() as held:
            try:
                with contextlib.ExitStack() as stack:
                    folder = Path(
                        stack.enter_context(tempfile.TemporaryDirectory(dir=self._folder))
                    )
                    asked = self._repository, commit, self._asked, folder, commit[:12]
                    side = stack.enter_context(commit_side(*asked, known=known))
                    if known is None:
                        self._keep(key, side.image)
                        self.remarks += side.remarks
                    state = State(side, self._built_in, whole=False)
                    _ = state.mesh  # read now, or not at all
                    held.push(stack.pop_all())
            except (ContractsError, MeshFileError, Unreadable, WrongUse) as error:
                if known is None and key not in self._images:
                    self._faults[key] = str(error)
                raise Unreadable(str(error)) from None
            yield state

    def _keep(self, key: Key, image: Image) -> None:
        path = self._folder / f"{len(self._images)}.binpb"
        path.write_bytes(FileDescriptorSet(file=image.files).SerializeToString())
        self._images[key] = replace(image, files=(), own={}), path

    def _known(self, key: Key) -> Image | None:
        kept = self._images.get(key)
        if kept is None:
            return None
        image, path = kept
        return replace(image, files=tuple(FileDescriptorSet.FromString(path.read_bytes()).file))

    def _beside(self, meshes: Iterable[str]) -> list[str]:
        """The paths of all files that any of these versions of mesh.yaml names."""
        names = {name for mesh in dict.fromkeys(meshes) if mesh for name in self._named(mesh)}
        folder = posixpath.dirname(self._mesh)
        paths = (posixpath.normpath(posixpath.join(folder, name)) for name in names)
        return sorted(
            path for path in paths if not path.startswith((".", "/")) and "\n" not in path
        )

    def _named(self, mesh: str) -> list[str]:
        try:
            content: object = yaml.safe_load(self._repository.blob(mesh))
        except yaml.YAMLError:
            return []  # told where it is read
        if not isinstance(content, dict):
            return []
        config = cast("dict[object, object]", content)
        return [str(name) for name in map(config.get, _BESIDE) if name]
