"""Finds grpcurl, or builds it from Go modules, once: as a program of its own, before any test.

On a fresh machine the build takes minutes, more than a test may.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

MODULE = "github.com/fullstorydev/grpcurl/cmd/grpcurl@v1.9.3"
MISSING = (
    "grpcurl is not on PATH, and Go is not there to build it: install grpcurl, or Go 1.21 or "
    "newer, and run make interop again"
)


class BuildError(Exception):
    """Go could not build it; the text has Go's own words."""


def found() -> Path | None:
    """The grpcurl on PATH, or the one that was built into the user's cache."""
    on_path = shutil.which("grpcurl")
    if on_path is not None:
        return Path(on_path)
    built = _folder() / "grpcurl"
    return built if built.exists() else None


def build() -> Path | None:
    """Builds it into the user's cache; None without Go. Raises BuildError when Go fails."""
    go = shutil.which("go")
    if go is None:
        return None
    print("Building grpcurl from Go modules (once, a few minutes)...", file=sys.stderr, flush=True)
    done = subprocess.run(
        [go, "install", MODULE],
        env={**os.environ, "GOBIN": str(_folder())},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise BuildError(f"go install {MODULE}:\n{done.stdout}{done.stderr}")
    return _folder() / "grpcurl"


def _folder() -> Path:
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return caches / "meshpact" / MODULE.rpartition("/")[2]


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
