"""Everything `make check` holds the code to; a step speaks only when it found something.

Usage: check.py FOLDER...   (the folders of hand-written Python)
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
LONGEST = 400
# Hand-written files that may be longer, each with its reason.
LONG_FILES: dict[str, str] = {}
# Folders of contracts, each with the folder of the code that is generated from it.
CONTRACTS = {
    "protos": "generated",
    "tests/demo_contract/protos": "tests/demo_contract/generated",
    "benchmarks/contract/protos": "benchmarks/contract/generated",
}


@dataclass(frozen=True, slots=True)
class Step:
    """One check: a name for people, and what finds the faults (an empty text: none)."""

    name: str
    find: Callable[[], str]


def command(*argv: str | Path) -> Callable[[], str]:
    """A step that is a command of .venv: its output, when it does not end with 0."""

    def find() -> str:
        done = subprocess.run(
            [str(BIN / argv[0]), *map(str, argv[1:])],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return "" if done.returncode == 0 else done.stdout or f"ended with {done.returncode}"

    return find


def long_files(folders: list[str]) -> str:
    """Files of more than LONGEST lines without an excuse, and excuses no longer needed."""
    found = list[str]()
    for path in sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py")):
        if "generated" in path.parts:
            continue
        name = str(path.relative_to(ROOT))
        lines = path.read_bytes().count(b"\n")
        if lines > LONGEST and name not in LONG_FILES:
            found.append(f"{name} has {lines} lines; split it, or say why not in .ci/check.py")
        if lines <= LONGEST and name in LONG_FILES:
            found.append(f"{name} has {lines} lines; take it off the list in .ci/check.py")
    return "\n".join(found)


def steps(folders: list[str]) -> list[Step]:
    """The slow ones first, so that both processors stay busy."""
    here = ".ci/check.py"
    return [
        Step("mypy --strict", command("mypy", *folders, "generated", here)),
        Step("pyright", command("pyright", *folders, "generated", here)),
        *(
            Step(
                f"{out} is fresh",
                command("meshpact", "generate", "--check", "--protos", protos, "--out", out),
            )
            for protos, out in CONTRACTS.items()
        ),
        Step("meshpact lint", command("meshpact", "lint", "--mesh", "mesh.yaml")),
        Step("import law", command("lint-imports")),
        Step("ruff check", command("ruff", "check", *folders, here)),
        Step("ruff format", command("ruff", "format", "--check", *folders, here)),
        Step(f"no file over {LONGEST} lines", lambda: long_files(folders)),
    ]


def run(step: Step) -> tuple[Step, str, float]:
    began = time.monotonic()
    found = step.find()
    return step, found, time.monotonic() - began


def main(folders: list[str]) -> int:
    """0 when every step found nothing, else 1."""
    failed = 0
    with ThreadPoolExecutor(max_workers=min(4, max(2, os.cpu_count() or 2))) as pool:
        for step, found, seconds in pool.map(run, steps(folders)):
            print(f"{'FAILED' if found else 'ok':6} {step.name} ({seconds:.1f} s)", flush=True)
            if found:
                failed += 1
                print(found.rstrip(), end="\n\n", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
