"""Where a process in any language begins: it waits until it is let through, then becomes it.

`python -m meshpact.servers.gate PROGRAM ARGUMENT...`, started by the supervisor. The wait is for
the Workload API, which has to know a process before that asks who it is; the process keeps its ID
and its start time. It is killed when the supervisor dies. Standard library only.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
from collections.abc import Sequence
from typing import Final

from meshpact.servers.lifeline import LIFE_VARIABLE, ORPHANED, REPORT_VARIABLE

NOT_FOUND: Final = 127
"""Exit code without a program to become, as in a shell."""
_PR_SET_PDEATHSIG: Final = 1


def main(argv: Sequence[str]) -> int:
    """Become `argv`. Returns only when that is impossible."""
    report, life = (int(os.environ.pop(name)) for name in (REPORT_VARIABLE, LIFE_VARIABLE))
    for descriptor in (report, life):
        os.set_inheritable(descriptor, False)
    # Kept over exec (prctl(2)). If the supervisor has died already, the read says so.
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if not os.read(life, 1):
        return ORPHANED
    os.environ.pop("PYTHONUNBUFFERED", None)
    for ignored in (signal.SIGPIPE, signal.SIGXFSZ):  # by Python, for itself
        signal.signal(ignored, signal.SIG_DFL)
    try:
        os.execvp(argv[0], list(argv))  # noqa: S606  (what mesh.yaml names, without a shell)
    except OSError as error:
        words = f"{argv[0]} cannot be run: {error.strerror}"
        os.write(report, json.dumps({"event": "failed", "message": words}).encode() + b"\n")
        return NOT_FOUND


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
