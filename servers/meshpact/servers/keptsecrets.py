"""Random keys that a service makes once and keeps, readable by its owner only."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Final

from meshpact.certs.files import PRIVATE_FILE, private_directory, sync_directory
from meshpact.servers.errors import ServerError

BYTES: Final = 32


def kept_secret(folder: Path, name: str) -> bytes:
    """The key `name` in `folder`, made if it is not there; all that ask at once get the same.

    ServerError when it is damaged.
    """
    path = private_directory(folder) / name
    try:
        key = path.read_bytes()
    except FileNotFoundError:
        key = _made(path)
    if len(key) != BYTES:
        raise ServerError(f"{path} is damaged: it must hold {BYTES} bytes. Remove it.")
    return key


def _made(path: Path) -> bytes:
    key = secrets.token_bytes(BYTES)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}.tmp")
    descriptor = os.open(
        temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, PRIVATE_FILE
    )
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(key)
            file.flush()
            os.fsync(descriptor)
        path.hardlink_to(temporary)  # never over another's
    except FileExistsError:
        return path.read_bytes()
    finally:
        temporary.unlink(missing_ok=True)
    sync_directory(path.parent)
    return key
