"""Meshpact as a repository that others install from, without a network."""

from __future__ import annotations

import subprocess
import sysconfig
from pathlib import Path

from ci_templates.runner import ROOT

SHIPPED = ("README.md", "LICENSE", "pyproject.toml", ".pre-commit-hooks.yaml")
ROOMS = ("protos", "generated", "certs", "mesh", "interceptors", "clients", "servers")
TOOLS = ("contracts", "testing", "cli")
OFFLINE = {
    "PIP_NO_BUILD_ISOLATION": "false",  # pip's spelling of: do not isolate
    "PIP_NO_DEPS": "1",
    "PIP_NO_INDEX": "1",
    "PYTHONPATH": sysconfig.get_path("purelib"),
    "VIRTUALENV_NO_PERIODIC_UPDATE": "1",
}
"""Hooks are installed by pip from the sources, and borrow the dependencies of these tests."""


def release(top: Path) -> Path:
    """A repository with what pip installs, as a tag of Meshpact has it: `v1`."""
    options = ("-z", "--cached", "--others", "--exclude-standard")
    listed = ["git", "ls-files", *options, "--", *SHIPPED, *ROOMS, *TOOLS]
    names = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, names.split("\0")):
        if (ROOT / name).is_file():
            target = top / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes((ROOT / name).read_bytes())
    git = ("git", "-c", "user.name=A", "-c", "user.email=a@shop.example")
    for command in ("init -q", "add -A -f", "commit -q -m Release", "tag v1"):
        subprocess.run([*git, *command.split()], cwd=top, check=True, capture_output=True)
    return top
