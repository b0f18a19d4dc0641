"""The accounts that are there from the start: one for each role of the staff.

Their passwords are random, and lie in a file that only its owner can read.
"""

from __future__ import annotations

import secrets
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Final

from sqlalchemy import Connection

from meshpact.certs.files import private_directory, write_whole
from meshpact.servers.storage.database import Database
from reference.identity import accounts
from reference.identity.passwords import Passwords

STAFF: Final = ("agent", "analyst", "supervisor")
"""Names to sign in with; each is in the group of the same name."""


class StaffFileError(Exception):
    """The file of passwords cannot be used; says which one, why, and what to do."""


async def seed(
    database: Database, passwords: Passwords, path: Path, clock: Callable[[], float]
) -> None:
    """Makes the accounts that are missing, with the passwords in `path` (new ones are added).

    The file is written first: after a crash in between, the next start goes on with it.
    """
    missing = await database.read(
        lambda connection: [name for name in STAFF if accounts.find(connection, name) is None]
    )
    if not missing:
        return
    known = _read(path)
    chosen = {name: known.get(name) or secrets.token_urlsafe(18) for name in missing}
    lines = [f"{name} {password}\n" for name, password in sorted((known | chosen).items())]
    private_directory(path.parent)
    write_whole(path, "".join(lines).encode())
    hashes = {name: await passwords.hash(password) for name, password in chosen.items()}

    def add(connection: Connection) -> None:
        for name, hashed in hashes.items():
            accounts.add(connection, name, hashed, frozenset({name}), clock())

    await database.write(add)


def _read(path: Path) -> dict[str, str]:
    try:
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise StaffFileError(f"{path} can be read by others: chmod 600 {path}")
        lines = [line.split() for line in path.read_text("utf-8").splitlines() if line.strip()]
        return {name: password for name, password in lines}  # noqa: C416 - each line has two
    except FileNotFoundError:
        return {}
    except ValueError:
        raise StaffFileError(
            f"{path} is damaged: each line holds a name and a password. Mend or remove it."
        ) from None
