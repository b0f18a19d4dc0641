"""Runs one change of a CA again and again, each time killed before a later write to the disk.

python crashes.py CHANGE TEMPLATE OUT: copies TEMPLATE to OUT/1, OUT/2, ... and in each copy takes
CHANGE in a process of its own, which ends before its 1st, 2nd, ... change of a file; prints how
often until one came through. It loads no gRPC, so that forking it is safe.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from datetime import timedelta
from itertools import count
from pathlib import Path

from meshpact.certs import authority
from meshpact.certs.ca import LocalCA
from meshpact.certs.rotation import Rotation, Settling
from meshpact.certs.spiffe import SpiffeId

DOMAIN = "acme.example"
KILLED = 9

_CHANGES_FILES = frozenset({"os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.truncate"})


def rotation(root: Path) -> Rotation:
    """The rotation of the CA below a folder, which waits for nobody."""
    return Rotation(
        root / "ca",
        trust=root / "trust",
        identities=root / "identities",
        settling=Settling(timedelta(0)),
    )


def _renew(root: Path) -> None:
    authority.__dict__["INTERMEDIATE_RENEWAL"] = timedelta(days=400)
    authority.__dict__["INTERMEDIATE_LIFETIME"] = timedelta(days=800)
    LocalCA.load(root / "ca")


CHANGES: dict[str, Callable[[Path], object]] = {
    "init": lambda root: LocalCA.init(root / "ca", DOMAIN),
    "issue": lambda root: LocalCA.load(root / "ca").issue(SpiffeId.for_service(DOMAIN, "courier")),
    "renew": _renew,
    "prepare": lambda root: rotation(root).prepare(),
    "activate": lambda root: rotation(root).activate(),
    "retire": lambda root: rotation(root).retire(),
}


def _kill_before(number: int) -> None:
    left = number

    def hook(event: str, args: tuple[object, ...]) -> None:
        nonlocal left
        flags = args[2] if event == "open" else 0
        opened = isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        if event in _CHANGES_FILES or opened:
            left -= 1
            if not left:
                os._exit(KILLED)

    sys.addaudithook(hook)


def main() -> None:
    """See the module."""
    change, template, out = CHANGES[sys.argv[1]], Path(sys.argv[2]), Path(sys.argv[3])
    for number in count(1):
        copy = out / str(number)
        shutil.copytree(template, copy)
        child = os.fork()
        if child == 0:
            _kill_before(number)
            change(copy)
            os._exit(0)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if code == 0:
            print(number)
            return
        if code != KILLED:
            sys.exit(f"the change failed by itself at {number}: {code}")


if __name__ == "__main__":
    main()
