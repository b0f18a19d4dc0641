"""buf on compiled contracts: `lint` on an image of ours, offline, configured by JSON."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import msgspec
from google.protobuf.descriptor_pb2 import FileDescriptorProto

from meshpact.contracts import bufparts
from meshpact.contracts.faults import Fault, WrongUse
from meshpact.contracts.image import Image, refuse_killed

LINT: Final[Mapping[str, object]] = {
    "version": "v2",
    "lint": {"use": ["STANDARD"], "disallow_comment_ignores": False},
}
"""buf's STANDARD rules, all of them."""

_MEMORY: Final[Mapping[str, str]] = {"GOGC": "off", "GOMEMLIMIT": "1100MiB"}
"""How buf collects garbage: not at all with a part of usual size, which takes half a GiB so, and
as often as it must with an image that cannot be cut."""

_STAND_IN: Final = "meshpact_no_file.proto"


class _Line(msgspec.Struct):
    """One finding as `buf lint --error-format=json` prints it."""

    message: str
    path: str = ""
    start_line: int = 0
    start_column: int = 0
    type: str = ""


class _RuleLine(msgspec.Struct):
    """One rule as `buf config ls-lint-rules` prints it."""

    id: str


def lint(
    image: Image, config: Mapping[str, object] = LINT, files: int = bufparts.FILES
) -> list[Fault]:
    """What `buf lint` finds in the user's own files, sorted; the rule's name is the subject.

    `files` is how many own files one process of buf gets, where rules do not need more at once.
    Raises WrongUse when buf is not there or refuses the image or the configuration.
    """
    command = ["lint", "--error-format=json"]
    parts = bufparts.of_one(image, files)
    return sorted(fault for part in parts for fault in _found(part, command, config, "lint"))


def lint_rules() -> frozenset[str]:
    """The IDs of all rules that `lint` of buf has."""
    done = subprocess.run(  # noqa: S603 - a fixed program, arguments without a shell
        [executable(), "config", "ls-lint-rules", "--format", "json"],
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=True,
    )
    decoder = msgspec.json.Decoder(_RuleLine)
    return frozenset(decoder.decode(line).id for line in done.stdout.splitlines())


def breaking(
    image: Image, against: Image, category: str = "FILE", files: int = bufparts.FILES
) -> list[Fault]:
    """What `buf breaking` finds in the user's own files, held against an older image.

    Buf gets the packages in which something changed, and what they import. `category` is one of
    buf's: FILE, PACKAGE, WIRE_JSON, WIRE. `files` is as for `lint`. What is gone stands at the file
    that held it, or at none. Raises WrongUse when buf is not there or refuses.
    """
    config = {"version": "v2", "breaking": {"use": [category]}}

    def compare(sides: tuple[Image, Image]) -> list[Fault]:
        if not sides[0].own:
            return []
        with tempfile.TemporaryDirectory(prefix="meshpact-") as folder:
            old = Path(folder, "against.binpb")
            old.write_bytes(_not_empty(sides[0]).buf_bytes)
            options = ["--against", str(old), "--error-format=json", "--exclude-imports"]
            return _found(_not_empty(sides[1]), ["breaking", *options], config, "compare")

    parts = bufparts.of_two(against, image, files)
    return sorted(fault for sides in parts for fault in compare(sides))


def _not_empty(image: Image) -> Image:
    """The image, or one with an empty file where it has none: buf takes no empty image."""
    if image.files:
        return image
    return replace(image, files=(FileDescriptorProto(name=_STAND_IN),), own={_STAND_IN: None})


def _found(
    image: Image, command: Sequence[str], config: Mapping[str, object], what: str
) -> list[Fault]:
    done = run_buf(image, command, config)
    if done.returncode not in (0, 100):
        raise WrongUse(f"buf could not {what}: {done.stderr.strip() or done.stdout.strip()}")
    decoder = msgspec.json.Decoder(_Line)
    lines = [decoder.decode(line) for line in done.stdout.splitlines() if line.strip()]
    return [
        Fault(image.place(line.path, line.start_line, line.start_column), line.type, line.message)
        for line in lines
    ]


def run_buf(
    image: Image, command: Sequence[str], config: Mapping[str, object]
) -> subprocess.CompletedProcess[str]:
    """Run `buf COMMAND IMAGE --config CONFIG` in an empty folder and return what it printed.

    WrongUse where a signal ended it.
    """
    binary = executable()
    with tempfile.TemporaryDirectory(prefix="meshpact-") as folder:
        path = Path(folder, "image.binpb")
        path.write_bytes(image.buf_bytes)
        name, *options = command
        done = subprocess.run(  # noqa: S603 - a fixed program, arguments without a shell
            [binary, name, str(path), "--config", json.dumps(config), *options],
            cwd=folder,
            env=_MEMORY | os.environ,
            capture_output=True,
            text=True,
            encoding="utf-8",
            check=False,
        )
    refuse_killed("buf", done.returncode)
    return done


def executable() -> str:
    """The path of buf, as the package buf-bin installs it beside Python."""
    found = shutil.which("buf", path=str(Path(sys.executable).parent)) or shutil.which("buf")
    if found is None:
        raise WrongUse("buf is not installed: pip install 'meshpact[contracts]'")
    return found
