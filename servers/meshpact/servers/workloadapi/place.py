"""Where the socket of the Workload API lies, and how its supervisor holds it.

The supervisor listens and another process accepts: so the socket is there from the first moment,
and stays when that process is started again.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import shutil
import socket
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from meshpact.certs.files import private_directory
from meshpact.mesh.state import State, StateError

PATH_LIMIT: Final = 107
"""Bytes in the path of a Unix socket, without the NUL at its end (unix(7))."""

PUBLIC: Final = "api.sock"
INNER: Final = "inner.sock"
BACKLOG: Final = 128

_TOKEN_BYTES: Final = 8


def one_time_name() -> str:
    """A name for a socket that lives as long as one connection; no two are alike.

    It is no secret, `/proc/net/unix` shows it to everybody: that nobody else comes to gRPC's socket
    under such a name is up to the directory, which only this user can enter.
    """
    return f"p{secrets.token_hex(_TOKEN_BYTES)}"


@dataclass(frozen=True)
class Place:
    """The directory of the sockets, which only its owner can enter."""

    directory: Path
    elsewhere: bool = False
    """Whether it is outside of the state directory, whose path is too long for a socket."""

    @classmethod
    def of(cls, state: State) -> Place:
        """Where the sockets of a mesh lie. Makes nothing."""
        usual = state.workload_api.resolve()
        if _fits(usual):
            return cls(usual)
        name = hashlib.sha256(os.fsencode(usual)).hexdigest()[:16]
        roots = [os.environ.get("XDG_RUNTIME_DIR", ""), tempfile.gettempdir(), "/tmp"]  # noqa: S108
        found = (Path(root) / f"meshpact-{os.getuid()}-{name}" for root in roots if root)
        return cls(next(filter(_fits, found)), elsewhere=True)

    @property
    def address(self) -> str:
        """What workloads are given: `unix:///...` (SPIFFE Workload Endpoint, section 3)."""
        return f"unix://{self.directory / PUBLIC}"

    @property
    def inner(self) -> Path:
        """Where the gRPC server listens."""
        return self.directory / INNER

    def listen(self) -> socket.socket:
        """Listen for workloads; what an earlier mesh left behind goes first.

        The caller holds the lock on the state, so nobody else uses the directory. StateError when
        it belongs to somebody else.
        """
        try:
            self._own()
            for left in self.directory.iterdir():
                left.unlink()
            listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                listener.bind(str(self.directory / PUBLIC))
                (self.directory / PUBLIC).chmod(0o600)
                listener.listen(BACKLOG)
                listener.setblocking(False)
            except OSError:
                listener.close()
                raise
        except OSError as error:
            raise StateError(
                f"{self.directory} cannot hold the socket of the Workload API: {error.strerror}. "
                "Remove it, or choose another state directory: --state DIRECTORY"
            ) from None
        return listener

    def clear(self) -> None:
        """Remove the sockets."""
        with contextlib.suppress(OSError):
            (self.directory / PUBLIC).unlink(missing_ok=True)
        shutil.rmtree(self.directory, ignore_errors=True)

    def _own(self) -> None:
        """Make the directory; StateError when another user could have put something into it."""
        if not self.elsewhere:
            private_directory(self.directory)
            return
        with contextlib.suppress(FileExistsError):
            self.directory.mkdir(mode=0o700)
        found = self.directory.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
            raise StateError(
                f"{self.directory} is not a directory of this user alone, so no socket is put into "
                "it. Remove it, or choose a state directory with a shorter path: --state DIRECTORY"
            )


def _fits(directory: Path) -> bool:
    longest = max(len(PUBLIC), len(INNER), len(one_time_name()))
    return len(os.fsencode(directory)) + 1 + longest <= PATH_LIMIT
