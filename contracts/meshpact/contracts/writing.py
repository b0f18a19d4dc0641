"""Generated files put in place: all of them are on the disk before the first is replaced.

Runs that write to one folder wait for each other (`alone`); what one left that was killed is
removed by the next.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from meshpact.contracts.faults import WrongUse

_PREFIX: Final = ".meshpact-writing-"


@contextmanager
def alone(out: Path, waiting: Callable[[], None] | None = None) -> Generator[None]:
    """Hold the right to write to `out`; `waiting` is called once where another run has it.

    It is a lock on the nearest folder above `out`: it leaves no file, and ends with the process. A
    folder that cannot be locked is not.
    """
    above = out.absolute().parent
    while not above.is_dir():
        above = above.parent
    try:
        descriptor = os.open(above, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        yield
        return
    try:
        _lock(descriptor, waiting)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int, waiting: Callable[[], None] | None) -> None:
    with suppress(OSError):  # a file system without locks
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if waiting is not None:
                waiting()
            fcntl.flock(descriptor, fcntl.LOCK_EX)


def write(out: Path, content: Mapping[str, bytes], removed: Sequence[str]) -> None:
    """Write `content` (path below `out` -> bytes) and take away the files of `removed`; `alone`.

    Raises WrongUse, before anything is changed, where a file has no room, and for whatever the disk
    refuses.
    """
    for path in content:
        _must_be_free(out, out / path)
    done = 0
    missing = [folder for folder in (out, *out.parents) if not folder.exists()]
    try:
        out.mkdir(parents=True, exist_ok=True)
        _clear(out)
        with tempfile.TemporaryDirectory(prefix=_PREFIX, dir=out) as folder:
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
                done += 1
        for path in removed:
            (out / path).unlink(missing_ok=True)
            _drop_empty(out, (out / path).parent)
    except OSError as error:
        if not done:
            with suppress(OSError):
                for made in missing:
                    made.rmdir()
        told = f"{done} of {len(content)} files are new: run it again" if done else _UNCHANGED
        where = error.filename or out
        raise WrongUse(f"{where} cannot be written: {error.strerror}; {told}") from None


_UNCHANGED: Final = "nothing was changed"


def _clear(out: Path) -> None:
    """Remove what a run left that was killed: nobody else writes now."""
    for left in out.glob(f"{_PREFIX}*"):
        shutil.rmtree(left, ignore_errors=True)


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
