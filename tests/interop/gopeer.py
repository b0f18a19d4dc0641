"""Builds the workload in Go of the interop tests (`go/peer`, with go-spiffe), before any test.

It goes into the user's cache under the hash of its sources. On a fresh machine the build takes a
minute or two, more than a test may.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).with_name("go")
MISSING = (
    "Go is not there to build the workload with go-spiffe: install Go 1.24 or newer and run make "
    "interop again"
)


class BuildError(Exception):
    """Go could not build it; the text has Go's own words."""


def found() -> Path | None:
    """The program, if it was built from these sources before."""
    built = _place()
    return built if built.exists() else None


def build() -> Path | None:
    """Builds it; None without Go. Raises BuildError when Go fails."""
    go = shutil.which("go")
    if go is None:
        return None
    print("Building a workload with go-spiffe (once, a minute)...", file=sys.stderr, flush=True)
    place = _place()
    place.parent.mkdir(parents=True, exist_ok=True)
    aside = place.with_name(f"{place.name}.{os.getpid()}")
    done = subprocess.run(
        [go, "build", "-trimpath", "-o", str(aside), "./peer"],
        cwd=HERE,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise BuildError(f"go build in {HERE}:\n{done.stdout}{done.stderr}")
    aside.replace(place)
    return place


def _place() -> Path:
    digest = hashlib.sha256()
    for path in sorted(HERE.rglob("*")):
        if path.is_file():
            digest.update(f"{path.relative_to(HERE)}\0".encode() + path.read_bytes())
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return caches / "meshpact" / f"go-spiffe-peer-{digest.hexdigest()[:12]}"


def main() -> int:
    """0 also without Go: the tests say what is missing."""
    try:
        if found() is None:
            build()
    except BuildError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
