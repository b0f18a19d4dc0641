"""The state of a mesh on one machine: where in `.meshpact/` what lies, who holds it, what runs.

Everything in it is the owner's alone: directories 0700, files 0600. The directory carries a
.gitignore of its own, so that keys are not committed by mistake.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec

from meshpact.certs.files import private_directory, write_whole

DEFAULT_ROOT: Final = Path(".meshpact")


class StateError(RuntimeError):
    """The state directory cannot be used; the text says which file and what to do."""


class StateLocked(StateError):
    """Another mesh runs on this state. `pid` is 0 and `address` empty when it did not say."""

    def __init__(self, root: Path, pid: int, address: str) -> None:
        who = f"process {pid}" if pid else "another process"
        where = f" at {address}" if address else ""
        super().__init__(
            f"{root} is in use: a mesh runs on it already, {who}{where}. Stop that one, or give "
            "this one a state directory of its own: --state DIRECTORY"
        )
        self.pid = pid
        self.address = address


class RunningService(msgspec.Struct, frozen=True, kw_only=True):
    """One process of a running mesh."""

    address: str
    """`host:port` of its mTLS listener; empty for a process that only calls."""
    pid: int
    health_port: int = 0
    """Port of its plaintext health listener on 127.0.0.1; 0: it has none."""
    serves: tuple[str, ...] = ()
    """Full names of the services of contracts that it serves."""
    metrics: str = ""
    """`host:port` of its metrics; empty: it serves none."""
    web: str = ""
    """The origin of its pages, such as `http://localhost:8711`; empty: it has none."""


class RunningMesh(msgspec.Struct, frozen=True, kw_only=True):
    """What runs: the processes of each service by the service's name."""

    services: dict[str, list[RunningService]]
    mesh_file: str = ""
    """Absolute path of the mesh.yaml it runs by."""
    pid: int = 0
    """Process ID of the supervisor."""


class LockHolder(msgspec.Struct, frozen=True):
    """Who holds the lock."""

    pid: int
    address: str = ""


class StateLock:
    """A held lock; `announce` adds the address that a refused second mesh names."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def announce(self, address: str) -> None:
        """Tells others where the holder of the lock can be reached."""
        data = msgspec.json.encode(LockHolder(os.getpid(), address))
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, data, 0)


class State:
    """The layout of a state directory. Making one touches no file; `create` makes the directory."""

    def __init__(self, root: Path | str = DEFAULT_ROOT) -> None:
        self.root = Path(root)

    @property
    def ca(self) -> Path:
        """The directory of the local CA (`meshpact.certs.ca.LocalCA`)."""
        return self.root / "ca"

    @property
    def trust(self) -> Path:
        """The directory of trust bundles, `<trust-domain>.pem`."""
        return self.root / "trust"

    @property
    def identities(self) -> Path:
        """The directory of all identities."""
        return self.root / "identities"

    def identity(self, service: str) -> Path:
        """The directory of one service's `cert.pem` and `key.pem`."""
        return self.identities / service

    @property
    def issuer(self) -> Path:
        """The directory of the development token issuer."""
        return self.root / "issuers" / "local"

    @property
    def jwt(self) -> Path:
        """The directory of the authority that signs JWT-SVIDs."""
        return self.root / "jwt"

    @property
    def workload_api(self) -> Path:
        """The directory of the sockets of the Workload API."""
        return self.root / "workload-api"

    @property
    def mesh_file(self) -> Path:
        """What runs: `mesh.json`."""
        return self.root / "mesh.json"

    @property
    def contracts_file(self) -> Path:
        """The contracts of what runs, a FileDescriptorSet: `contracts.binpb`."""
        return self.root / "contracts.binpb"

    @property
    def contracts(self) -> Path:
        """The directory of the contracts of each process, one FileDescriptorSet a service."""
        return self.root / "contracts"

    @property
    def logs(self) -> Path:
        """The directory of the services' logs."""
        return self.root / "logs"

    @property
    def audit(self) -> Path:
        """The directory of audit trails."""
        return self.root / "audit"

    @property
    def lock_file(self) -> Path:
        """The file whose lock a running mesh holds."""
        return self.root / "lock"

    def create(self) -> State:
        """Makes the directory, 0700, if it is not there. StateError when that is impossible.

        A directory of something else that others can enter is refused, not closed to them.
        """
        try:
            if self._is_foreign():
                raise StateError(
                    f"{self.root} is no state directory: it holds other things, and others can "
                    "enter it. Choose another: --state DIRECTORY"
                )
            private_directory(self.root)
            ignore = self.root / ".gitignore"
            if not ignore.exists():
                write_whole(ignore, b"*\n")
        except OSError as error:
            raise StateError(
                f"{self.root} cannot be used as state directory: {error.strerror}. Choose another: "
                "--state DIRECTORY"
            ) from None
        return self

    def _is_foreign(self) -> bool:
        if not self.root.is_dir() or not self.root.stat().st_mode & 0o077:
            return False
        names = {path.name for path in self.root.iterdir()}
        # `generate` keeps its cache here, before any mesh has run.
        return bool(names - {"cache", ".gitignore"}) and not names & {
            path.name for path in (self.ca, self.lock_file)
        }

    @contextmanager
    def lock(self, address: str = "") -> Generator[StateLock]:
        """Holds the state for one mesh; StateLocked when another process does.

        The lock ends with the process, however it ends.
        """
        self.create()
        descriptor = os.open(self.lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                    raise StateError(
                        f"{self.lock_file} cannot be locked: {error.strerror}. Choose a state "
                        "directory on a local disk: --state DIRECTORY"
                    ) from None
                holder = self._holder(descriptor)
                raise StateLocked(self.root, holder.pid, holder.address) from None
            lock = StateLock(descriptor)
            lock.announce(address)
            try:
                yield lock
            finally:
                os.ftruncate(descriptor, 0)
        finally:
            os.close(descriptor)

    def write_running(self, mesh: RunningMesh) -> None:
        """Says what runs."""
        write_whole(self.mesh_file, msgspec.json.format(msgspec.json.encode(mesh)) + b"\n")

    def read_running(self) -> RunningMesh | None:
        """What runs, None when nothing was said. StateError when the file is damaged."""
        try:
            data = self.mesh_file.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StateError(f"{self.mesh_file} cannot be read: {error.strerror}") from None
        try:
            return msgspec.json.decode(data, type=RunningMesh)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise StateError(
                f"{self.mesh_file} is damaged ({error}): remove it and start the mesh again by "
                "meshpact up"
            ) from None

    def clear_running(self) -> None:
        """Says that nothing runs."""
        self.mesh_file.unlink(missing_ok=True)

    @staticmethod
    def _holder(descriptor: int) -> LockHolder:
        try:
            return msgspec.json.decode(os.pread(descriptor, 4096, 0), type=LockHolder)
        except (OSError, msgspec.DecodeError, UnicodeDecodeError):
            return LockHolder(0)

    def __repr__(self) -> str:
        return f"State({self.root})"
