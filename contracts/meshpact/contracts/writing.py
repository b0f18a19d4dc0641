"""Generated files put in place: all of them are on the disk before the first is replaced."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from meshpact.contracts.faults import WrongUse


def write(out: Path, content: Mapping[str, bytes], removed: Sequence[str]) -> None:
    """Write `content` (path below `out` -> bytes) and take away the files of `removed`.

    Raises WrongUse, before anything is changed, where a file has no room.
    """
    for path in content:
        _must_be_free(out, out / path)
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".meshpact-", dir=out) as folder:
        staged: list[tuple[Path, Path]] = []
        for number, (path, data) in enumerate(content.items()):
            temporary = Path(folder, str(number))
            with temporary.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            staged.append((temporary, out / path))
        for temporary, target in staged:
            target.parent.mkdir(parents=True, exist_ok=True)
            temporary.replace(target)
    for path in removed:
        (out / path).unlink()
        _drop_empty(out, (out / path).parent)


def _must_be_free(out: Path, target: Path) -> None:
    if target.is_dir():
        raise WrongUse(f"{target} is a folder, and a file is to be written there: move it away")
    for folder in target.parents:
        if folder.exists() and not folder.is_dir():
            raise WrongUse(f"{folder} is a file where a folder is needed: move it away")
        if folder == out:
            break


def _drop_empty(out: Path, folder: Path) -> None:
    while folder != out and not any(path.name != "__pycache__" for path in folder.iterdir()):
        shutil.rmtree(folder)
        folder = folder.parent
