"""What a person sees when a command fails: one line of ours, never a traceback."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from pathlib import Path
from typing import Final

from meshpact.mesh.printed import printed

DONE: Final = 0
FOUND: Final = 1
WRONG_USE: Final = 2

_WRONG_USE_ERRORS: Final = frozenset({"MeshFileError", "StateLocked"})

_MACHINE: Final = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.E2BIG}
)
"""What the machine lacks, and which file lacks it does not always stand in the error."""


def report(error: Exception) -> int:
    """Print `meshpact: ...` on stderr for an error that ended a command; returns the exit code.

    An error that Meshpact defines speaks for itself; its `exit_code` attribute counts when it has
    one. A file that cannot be read or written is wrong use. Anything else is a crash: its traceback
    goes to a log, or to stderr when MESHPACT_DEBUG=1; it ends with 2 as well, since who asks with
    such a command has no answer.
    """
    if os.environ.get("MESHPACT_DEBUG") == "1":
        import traceback

        traceback.print_exception(error)
    kind = type(error)
    if kind.__module__.split(".", 1)[0] == "meshpact":
        _print(str(error))
        code = getattr(error, "exit_code", None)
        if isinstance(code, int):
            return code
        return WRONG_USE if kind.__name__ in _WRONG_USE_ERRORS else FOUND
    if isinstance(error, OSError) and error.filename is not None:
        _print(f"{error.filename}: {error.strerror}")
        return WRONG_USE
    if isinstance(error, OSError) and error.errno in _MACHINE:
        _print(f"{error.strerror}: the machine, or a limit of this process, refuses")
        return WRONG_USE
    try:
        where = f"What led to it stands in {_log(error)} (MESHPACT_DEBUG=1 shows it here)."
    except OSError:
        where = "MESHPACT_DEBUG=1 shows what led to it."
    _print(f"this should not have happened: {kind.__name__}. {where}")
    return WRONG_USE


def _print(message: str) -> None:
    shown = printed(message, keep="\n\t")
    with contextlib.suppress(BrokenPipeError):
        print(f"meshpact: {shown}", file=sys.stderr, flush=True)  # noqa: T201


def _log(error: Exception) -> Path:
    import tempfile
    import traceback

    text = "".join(traceback.format_exception(error))
    folder = Path(".meshpact", "logs")
    if folder.is_dir() and os.access(folder, os.W_OK):
        path = folder / "crash.log"
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    else:
        descriptor, name = tempfile.mkstemp(prefix="meshpact-crash-", suffix=".log")
        path = Path(name)
    with os.fdopen(descriptor, "a", encoding="utf-8") as log:
        log.write(text + "\n")
    return path
