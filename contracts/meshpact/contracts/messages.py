"""Messages and their type stubs, as protoc and mypy-protobuf write them: in processes of theirs."""

from __future__ import annotations

import importlib.util
import os
import shlex
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from meshpact.contracts import names, thirdparty
from meshpact.contracts.faults import WrongUse
from meshpact.contracts.image import Image, run_protoc

PROGRAMS: Final = ("grpc_tools", "mypy_protobuf")
"""The packages that run in the processes."""
_CODE, _STUB = "_pb2.py", "_pb2.pyi"
_LENIENT: Final = "# pyright: basic"
"""What protoc and mypy-protobuf write does not keep to pyright's strict rules."""


def render(image: Image, at_least: int = 64) -> dict[str, bytes]:
    """Path -> content of all messages of the user's own files, and of stubs that are missing.

    With many files the work is shared by one process a processor, `at_least` files for each. Raises
    WrongUse.
    """
    messages = list(image.own)
    if _imports_validate(image) and thirdparty.VALIDATE not in image.own:
        messages.append(thirdparty.VALIDATE)
    stubs = _stubs(image)
    wanted = {names.module_path(name, _CODE): name for name in messages}
    wanted |= {names.module_path(name, _STUB): name for name in (*messages, *stubs)}
    files = (*messages, *stubs)
    shares = max(1, min(os.cpu_count() or 1, len(files) // at_least))
    with tempfile.TemporaryDirectory(prefix="meshpact-") as folder:
        compiled, output = Path(folder, "image.bin"), Path(folder, "out")
        output.mkdir()
        compiled.write_bytes(image.plain_bytes)
        plugin = _mypy_plugin(Path(folder))

        def write(share: Sequence[str]) -> None:
            done = run_protoc(
                f"--descriptor_set_in={compiled}",
                f"--python_out={output}",
                f"--plugin=protoc-gen-mypy={plugin}",
                f"--mypy_out=quiet:{output}",
                *share,
            )
            if done.returncode != 0:
                raise WrongUse(f"protoc could not write the messages: {done.stderr.strip()}")

        with ThreadPoolExecutor(max_workers=shares) as pool:
            list(pool.map(write, [files[start::shares] for start in range(shares)]))
        return {path: _head(name) + (output / path).read_bytes() for path, name in wanted.items()}


def _head(name: str) -> bytes:
    return f"{names.header(name)}\n{_LENIENT}\n".encode()


def _mypy_plugin(folder: Path) -> Path:
    """protoc-gen-mypy as a file that starts the module with the Python that runs here."""
    if importlib.util.find_spec("mypy_protobuf") is None:
        raise WrongUse("mypy-protobuf is not installed: pip install 'meshpact[contracts]'")
    script = folder / "protoc-gen-mypy"
    python = shlex.quote(sys.executable)
    script.write_text(f'#!/bin/sh\nexec {python} -P -m mypy_protobuf.main "$@"\n', encoding="utf-8")
    script.chmod(0o700)
    return script


def _stubs(image: Image) -> list[str]:
    """Contracts whose modules are installed without types that mypy --strict can read."""
    found = {file.name for file in image.files if thirdparty.is_stub_only(file.name)}
    if not any(file.service for file in image.own_files):
        found.difference_update(thirdparty.STATUS)
    return sorted(found - image.own.keys())


def _imports_validate(image: Image) -> bool:
    return any(thirdparty.VALIDATE in file.dependency for file in image.own_files)
