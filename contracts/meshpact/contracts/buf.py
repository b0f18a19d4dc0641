"""buf on compiled contracts: `lint` on an image of ours, offline, configured by JSON."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

from meshpact.contracts.faults import Fault, WrongUse
from meshpact.contracts.image import Image

LINT: Final[Mapping[str, object]] = {
    "version": "v2",
    "lint": {"use": ["STANDARD"], "disallow_comment_ignores": False},
}
"""buf's STANDARD rules, all of them."""


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


def lint(image: Image, config: Mapping[str, object] = LINT) -> list[Fault]:
    """What `buf lint` finds in the user's own files, sorted; the rule's name is the subject.

    Raises WrongUse when buf is not there or refuses the image or the configuration.
    """
    done = run_buf(image, ["lint", "--error-format=json"], config)
    if done.returncode not in (0, 100):
        raise WrongUse(f"buf could not lint: {done.stderr.strip() or done.stdout.strip()}")
    decoder = msgspec.json.Decoder(_Line)
    lines = [decoder.decode(line) for line in done.stdout.splitlines() if line.strip()]
    return sorted(
        Fault(image.place(line.path, line.start_line, line.start_column), line.type, line.message)
        for line in lines
    )


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


def breaking(image: Image, against: Image, category: str = "FILE") -> list[Fault]:
    """What `buf breaking` finds in the user's own files, held against an older image.

    `category` is one of buf's: FILE, PACKAGE, WIRE_JSON, WIRE. What is gone stands at the file that
    held it, or at none. Raises WrongUse when buf is not there or refuses.
    """
    with tempfile.TemporaryDirectory(prefix="meshpact-") as folder:
        old = Path(folder, "against.binpb")
        old.write_bytes(against.buf_bytes)
        config = {"version": "v2", "breaking": {"use": [category]}}
        command = ["breaking", "--against", str(old), "--error-format=json", "--exclude-imports"]
        done = run_buf(image, command, config)
    if done.returncode not in (0, 100):
        raise WrongUse(f"buf could not compare: {done.stderr.strip() or done.stdout.strip()}")
    decoder = msgspec.json.Decoder(_Line)
    lines = [decoder.decode(line) for line in done.stdout.splitlines() if line.strip()]
    return sorted(
        Fault(image.place(line.path, line.start_line, line.start_column), line.type, line.message)
        for line in lines
    )


def run_buf(
    image: Image, command: Sequence[str], config: Mapping[str, object]
) -> subprocess.CompletedProcess[str]:
    """Run `buf COMMAND IMAGE --config CONFIG` in an empty folder and return what it printed."""
    binary = executable()
    with tempfile.TemporaryDirectory(prefix="meshpact-") as folder:
        path = Path(folder, "image.binpb")
        path.write_bytes(image.buf_bytes)
        name, *options = command
        return subprocess.run(  # noqa: S603 - a fixed program, arguments without a shell
            [binary, name, str(path), "--config", json.dumps(config), *options],
            cwd=folder,
            capture_output=True,
            text=True,
            encoding="utf-8",
            check=False,
        )


def executable() -> str:
    """The path of buf, as the package buf-bin installs it beside Python."""
    found = shutil.which("buf", path=str(Path(sys.executable).parent)) or shutil.which("buf")
    if found is None:
        raise WrongUse("buf is not installed: pip install 'meshpact[contracts]'")
    return found
