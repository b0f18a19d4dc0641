"""Where every process of a mesh begins: `python -m meshpact.servers.child KIND OPTION...`.

It ties itself to its supervisor before it imports anything that takes time, and leaves the garbage
collector out of the imports (an eighth of the start).
"""

from __future__ import annotations

import gc
import importlib
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import Final, cast

from meshpact.servers.lifeline import Lifeline

KINDS: Final = ("serving", "driving", "workloadapi.serving")
YOUNG: Final = 10_000
"""Objects made and not freed before the collector looks for garbage. Python's own 700 make it look
through all that a service remembers after each few thousand calls, and stop them for it."""


def main(argv: Sequence[str]) -> int:
    """Become what `argv` says; returns the exit code."""
    lifeline = Lifeline.from_environment()
    kind, *options = argv
    if kind not in KINDS:
        raise SystemExit(f"meshpact.servers.child: found {kind!r}; allowed: {', '.join(KINDS)}")
    gc.disable()
    try:
        module = importlib.import_module(f"meshpact.servers.{kind}")
    except ImportError as error:
        traceback.print_exc()
        lifeline.report("failed", message=f"this installation is broken: {error}")
        return 1
    become = cast("Callable[[Sequence[str], Lifeline], int]", module.main)
    return become(options, lifeline)


def settled() -> None:
    """What was made so far stays: collect garbage among the rest from now on."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, *gc.get_threshold()[1:])
    gc.enable()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
