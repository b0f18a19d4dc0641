"""The passphrase of a CA's encrypted keys, out of a file that only its owner can read.

Never out of a command's arguments or the environment, which other processes can see; the
environment may name the file.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from meshpact.certs.errors import CaError

VARIABLE: Final = "MESHPACT_CA_PASSPHRASE_FILE"
"""The environment variable that names the file."""

_LONGEST: Final = 1023


def read_passphrase(path: Path) -> bytes:
    """The first line of a file. CaError `passphrase` when it is none, or others can read it."""
    try:
        mode = path.stat().st_mode & 0o777
        text = path.read_bytes()
    except OSError as error:
        raise CaError(
            "passphrase", f"the passphrase's file {path} cannot be read: {error.strerror}"
        ) from None
    if path.is_file() and mode & 0o077:
        raise CaError(
            "passphrase",
            f"the passphrase's file {path} has the mode {mode:04o}: only its owner may read it: "
            f"chmod 600 {path}",
        )
    return checked(text.partition(b"\n")[0].rstrip(b"\r"), f"the passphrase in {path}")


def checked(passphrase: bytes, what: str) -> bytes:
    """A passphrase that keys can be encrypted with; CaError `passphrase` otherwise."""
    if not 0 < len(passphrase) <= _LONGEST:
        raise CaError(
            "passphrase", f"{what} has {len(passphrase)} bytes: 1 to {_LONGEST} are allowed"
        )
    return passphrase


def from_environment() -> bytes | None:
    """The passphrase whose file the environment names, None when it names none."""
    named = os.environ.get(VARIABLE)
    return read_passphrase(Path(named)) if named else None
