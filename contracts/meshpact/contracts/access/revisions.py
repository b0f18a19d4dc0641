"""A mesh.yaml as it was in git, with its files beside it, for tools that read files."""

from __future__ import annotations

import contextlib
import os
import posixpath
import subprocess
import tempfile
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path

from meshpact.contracts.faults import WrongUse
from meshpact.mesh.config import load
from meshpact.mesh.problems import MeshFileError


@contextlib.contextmanager
def mesh_file(name: str) -> Generator[Path]:
    """The path of a mesh.yaml: `name` itself, or a copy of `REF:PATH` while the context lasts.

    PATH is one of git's: below the top of the repository, or with ./ below the working directory.
    Raises WrongUse when git does not have it. A MeshFileError inside names the file as it was asked
    for.
    """
    reference, colon, path = name.partition(":")
    if not colon or Path(name).exists():
        yield Path(name)
        return
    with tempfile.TemporaryDirectory(prefix="meshpact-access-") as folder:
        copy = Path(folder, posixpath.basename(path))
        copy.write_bytes(_shown(reference, path))
        try:
            config = load(copy)
            for file in (config.bindings_file, config.overlay):
                if file is not None and Path(file).is_relative_to(folder):
                    beside = Path(file).relative_to(folder)
                    Path(file).parent.mkdir(parents=True, exist_ok=True)
                    there = posixpath.join(posixpath.dirname(path), beside.as_posix())
                    Path(file).write_bytes(_shown(reference, there))
            yield copy
        except MeshFileError as error:
            raise MeshFileError(
                [
                    replace(each, path=_asked(each.path, Path(folder), reference, path))
                    for each in error.problems
                ]
            ) from None


def _asked(file: Path, folder: Path, reference: str, path: str) -> Path:
    """A file as it was asked for; one that is no copy is what it is."""
    if not file.is_relative_to(folder):
        return file
    return Path(f"{reference}:{posixpath.join(posixpath.dirname(path), file.relative_to(folder))}")


def _shown(reference: str, path: str) -> bytes:
    """A file's content at a git reference; links inside the repository are followed."""
    if reference.startswith("-"):
        raise WrongUse(f"{reference!r} is no reference of git")
    try:
        linked = subprocess.run(
            ["git", "cat-file", "--batch", "--follow-symlinks"],  # noqa: S607 - as below
            input=os.fsencode(f"{reference}:{path}\n"),
            capture_output=True,
            check=False,
        )
        head, _, content = linked.stdout.partition(b"\n")
        if linked.returncode == 0 and head.split(b" ")[1:2] == [b"blob"] and "\n" not in path:
            return content[:-1]
        done = subprocess.run(  # noqa: S603 - no shell, and no argument that git takes for an option
            ["git", "show", f"{reference}:{path}"],  # noqa: S607 - the user's own git
            capture_output=True,
            check=False,
        )
    except OSError as error:
        raise WrongUse(f"{reference}:{path} needs git, which cannot be run: {error}") from None
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise WrongUse(
            f"git does not have {reference}:{path}: {said[0] if said else 'no reason given'}"
        )
    return done.stdout
