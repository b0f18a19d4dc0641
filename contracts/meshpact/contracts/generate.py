"""Writes messages, servers, clients and errors from contracts: all of them, or nothing.

The output depends on the contracts and on the installed protoc alone; a file is rewritten only when
it differs, and a generated file whose contract is gone is removed.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import shutil
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from meshpact.contracts import emit, names, thirdparty
from meshpact.contracts.check import check
from meshpact.contracts.faults import WrongUse
from meshpact.contracts.image import Image, compile_image, run_protoc
from meshpact.contracts.model import Contracts

_HEADER: Final = re.compile(re.escape(emit.header("@")).replace("@", r"(?P<name>\S+\.proto)"))
_SUFFIXES: Final = ("_pb2.py", "_pb2.pyi", "_mesh.py")
_LENIENT: Final = "# pyright: basic"
"""What protoc and mypy-protobuf write does not keep to pyright's strict rules."""


@dataclass(frozen=True)
class Result:
    """What changed, or (with `check`) would change: paths below the output folder, sorted."""

    written: tuple[str, ...]
    removed: tuple[str, ...]
    unchanged: int

    @property
    def stale(self) -> tuple[str, ...]:
        """All paths that differ from what the contracts say."""
        return tuple(sorted((*self.written, *self.removed)))


def generate(
    roots: Sequence[Path], out: Path, *, includes: Sequence[Path] = (), check_only: bool = False
) -> Result:
    """Bring `out` up to date with the contracts below `roots`; with `check_only` only compare.

    Raises ContractsError (with every fault) or WrongUse before anything is written.
    """
    contracts = Contracts(compile_image(roots, includes))
    check(contracts)
    content = render(contracts)
    written = sorted(path for path, data in content.items() if _read(out / path) != data)
    removed = _left_behind(out, content)
    if not check_only:
        _write(out, {path: content[path] for path in written}, removed)
    return Result(tuple(written), tuple(removed), len(content) - len(written))


def render(contracts: Contracts) -> dict[str, bytes]:
    """Every generated file of contracts without faults: path -> content."""
    content = _protoc_output(contracts)
    for file in contracts.files:
        if file.has_module:
            path = names.module_path(file.name, emit.SUFFIX)
            content[path] = emit.emit(contracts, file).encode()
    typed = {Path(path).parent for path in content if path.endswith(".py")}
    for folder in typed:
        content[(folder / "py.typed").as_posix()] = b""
    return dict(sorted(content.items()))


def _protoc_output(contracts: Contracts) -> dict[str, bytes]:
    image = contracts.image
    messages = list(image.own)
    if _imports_validate(image) and thirdparty.VALIDATE not in image.own:
        messages.append(thirdparty.VALIDATE)
    stubs = _stubs(contracts)
    wanted = [names.module_path(name, suffix) for name in messages for suffix in _SUFFIXES[:2]]
    wanted += [names.module_path(name, "_pb2.pyi") for name in stubs]
    with tempfile.TemporaryDirectory(prefix="meshpact-") as folder:
        compiled, output = Path(folder, "image.bin"), Path(folder, "out")
        output.mkdir()
        compiled.write_bytes(image.plain_bytes)
        done = run_protoc(
            f"--descriptor_set_in={compiled}",
            f"--python_out={output}",
            f"--plugin=protoc-gen-mypy={_mypy_plugin(Path(folder))}",
            f"--mypy_out=quiet:{output}",
            *messages,
            *stubs,
        )
        if done.returncode != 0:
            raise WrongUse(f"protoc could not write the messages: {done.stderr.strip()}")
        content = {path: (output / path).read_bytes() for path in wanted}
    owners = {
        names.module_path(name, suffix): name
        for name in (*messages, *stubs)
        for suffix in _SUFFIXES
    }
    return {
        path: f"{emit.header(owners[path])}\n{_LENIENT}\n".encode() + data
        for path, data in content.items()
    }


def _mypy_plugin(folder: Path) -> Path:
    """protoc-gen-mypy as a file that starts the module with the Python that runs here."""
    if importlib.util.find_spec("mypy_protobuf") is None:
        raise WrongUse("mypy-protobuf is not installed: pip install 'meshpact[contracts]'")
    script = folder / "protoc-gen-mypy"
    python = shlex.quote(sys.executable)
    script.write_text(f'#!/bin/sh\nexec {python} -m mypy_protobuf.main "$@"\n', encoding="utf-8")
    script.chmod(0o700)
    return script


def _stubs(contracts: Contracts) -> list[str]:
    """Contracts whose modules are installed without types that mypy --strict can read."""
    found = {file.name for file in contracts.image.files if thirdparty.is_stub_only(file.name)}
    if not any(file.services for file in contracts.files):
        found.difference_update(thirdparty.STATUS)
    return sorted(found - contracts.image.own.keys())


def _imports_validate(image: Image) -> bool:
    return any(thirdparty.VALIDATE in file.dependency for file in image.own_files)


def _left_behind(out: Path, content: Iterable[str]) -> list[str]:
    """The files below `out` that an earlier run wrote and this one does not, sorted.

    A file counts only where it names, in our header, the contract that belongs at its place. A
    py.typed goes with the last file beside it.
    """
    wanted = set(content)
    found: list[str] = []
    for folder, folders, files in os.walk(out):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        here = Path(folder)
        gone = [name for name in files if _is_left(out, here / name, wanted)]
        marker = here / "py.typed"
        alone = not folders and set(files) == {*gone, "py.typed"} if gone else False
        if alone and not marker.stat().st_size:
            gone.append("py.typed")
        found += [(here / name).relative_to(out).as_posix() for name in gone]
    return sorted(found)


def _is_left(out: Path, path: Path, wanted: set[str]) -> bool:
    relative = path.relative_to(out).as_posix()
    if not path.name.endswith(_SUFFIXES) or relative in wanted:
        return False
    with path.open("rb") as file:
        first = file.readline(4096).decode(errors="replace").rstrip("\n")
    match = _HEADER.fullmatch(first)
    return match is not None and any(
        relative == names.module_path(match["name"], suffix) for suffix in _SUFFIXES
    )


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        return None


def _write(out: Path, content: dict[str, bytes], removed: Sequence[str]) -> None:
    """All new content is on the disk before the first file is replaced."""
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
