"""How a local CA lies on disk, so that a crash between any two writes loses nothing.

`ca.json` says which files count and is replaced as a whole: whatever it does not name was never in
effect, or no longer is, and is swept away by the next change. Changes hold `lock`.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from meshpact.certs import keys
from meshpact.certs.errors import CaError
from meshpact.certs.files import PRIVATE_FILE, PUBLIC_FILE, write_whole
from meshpact.certs.issuance import IssuanceLog
from meshpact.certs.pem import read_certificates
from meshpact.certs.profile import Signer
from meshpact.certs.wholedir import BrokenDirectory, read_file

STATE_FILE: Final = "ca.json"
LOG_FILE: Final = "issued.jsonl"
ROOT_FILE: Final = "root.pem"
ROOT_KEY_FILE: Final = "root.key.pem"
FIRST_INTERMEDIATE: Final = "intermediate"

_LOCK_FILE: Final = "lock"
_HERE: Final = "."
_NUMBERED: Final = re.compile(r"[1-9][0-9]{0,8}")
_UNFINISHED: Final = re.compile(r"\.[1-9][0-9]{0,8}\..+")
_INTERMEDIATES: Final = re.compile(r"intermediate(-[1-9][0-9]{0,8})?(\.key)?\.pem")
_TEMPORARY: Final = re.compile(r"\..+\.[0-9a-f]{12}\.tmp")

Phase = Literal["steady", "prepared", "activated"]
Sha256 = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]


class Authority(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A root and its intermediate: the directory they lie in, and the root's SHA-256."""

    directory: Annotated[str, msgspec.Meta(pattern=r"^(\.|[1-9][0-9]{0,8})$")]
    root: Sha256
    intermediate: Annotated[str, msgspec.Meta(pattern=r"^intermediate(-[1-9][0-9]{0,8})?$")] = (
        FIRST_INTERMEDIATE
    )


class CaState(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What counts of the files of a CA."""

    version: Literal[1] = 1
    generation: Annotated[int, msgspec.Meta(ge=0)]
    """Rises by one with each change."""
    changed: Annotated[datetime, msgspec.Meta(tz=True)]
    """When the last step of a rotation was taken, or the CA made."""
    active: Authority
    """Signs."""
    next: Authority | None = None
    """Is in the bundle and will sign: a rotation is prepared."""
    previous: Authority | None = None
    """Is in the bundle and signs no more: a rotation is activated."""
    retired: tuple[Sha256, ...] = ()
    """Roots that have left the bundle."""

    @property
    def phase(self) -> Phase:
        """How far a rotation is."""
        if self.previous:
            return "activated"
        return "prepared" if self.next else "steady"

    @property
    def authorities(self) -> tuple[Authority, ...]:
        """All whose roots are in the bundle, the one that signs first."""
        return tuple(each for each in (self.active, self.next, self.previous) if each)


class Store:
    """Reads and writes the files of one CA."""

    def __init__(self, directory: Path, passphrase: bytes | None = None) -> None:
        self.directory = directory
        self.log = IssuanceLog(directory / LOG_FILE)
        self._passphrase = passphrase

    @property
    def passphrase(self) -> bytes | None:
        """With what keys are encrypted, None for not at all."""
        return self._passphrase

    def read(self) -> tuple[bytes, CaState]:
        """What counts, and the bytes that say so. BrokenDirectory when they cannot be read.

        CaError `permissions` where others could have changed it: by a root of theirs in the bundle
        they would be every workload. A CA without ca.json is one made by an earlier version: its
        files lie in `directory` itself.
        """
        _check_owned(self.directory)
        path = self.directory / STATE_FILE
        if not path.exists() and (self.directory / ROOT_FILE).exists():
            root = _certificate(self.directory / ROOT_FILE)
            made = root.not_valid_before_utc
            return b"", CaState(
                generation=0, changed=made, active=Authority(_HERE, fingerprint(root))
            )
        data = read_file(path)
        try:
            return data, msgspec.json.decode(data, type=CaState)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise BrokenDirectory(path, f"is not what this program wrote ({error})") from None

    def commit(self, state: CaState) -> None:
        """Lets a state count from now on; the lock must be held."""
        data = msgspec.json.format(msgspec.json.encode(state)) + b"\n"
        write_whole(self.directory / STATE_FILE, data)

    def root(self, authority: Authority) -> x509.Certificate:
        """The root's certificate."""
        path = self.directory / authority.directory / ROOT_FILE
        _check_owned(path.parent)
        certificate = _certificate(path)
        if fingerprint(certificate) != authority.root:
            raise BrokenDirectory(path, f"is not the root that {STATE_FILE} names")
        return certificate

    def root_signer(self, authority: Authority) -> Signer | None:
        """The root with its key, None when the key is kept elsewhere."""
        path = self.directory / authority.directory / ROOT_KEY_FILE
        if not path.exists():
            return None
        return self._with_key(self.root(authority), path, ROOT_FILE)

    def intermediate(self, authority: Authority) -> Signer:
        """The intermediate with its key."""
        folder = self.directory / authority.directory
        name = f"{authority.intermediate}.pem"
        certificate = _certificate(folder / name)
        return self._with_key(certificate, folder / f"{authority.intermediate}.key.pem", name)

    def is_encrypted(self, authority: Authority) -> bool:
        """Whether the intermediate's key is encrypted."""
        folder = self.directory / authority.directory
        return keys.is_encrypted(read_file(folder / f"{authority.intermediate}.key.pem"))

    def write_root(self, folder: Path, signer: Signer) -> None:
        """Writes a new root and its key into a folder."""
        self._write(folder / ROOT_KEY_FILE, folder / ROOT_FILE, signer)

    def write_intermediate(self, folder: Path, name: str, signer: Signer) -> None:
        """Writes a new intermediate and its key into a folder."""
        self._write(folder / f"{name}.key.pem", folder / f"{name}.pem", signer)

    def sweep(self, state: CaState) -> None:
        """Removes what a state does not name and this program wrote; the lock must be held."""
        kept = {each.directory: each for each in state.authorities}
        for path in list(self.directory.iterdir()):
            name = path.name
            dropped = _NUMBERED.fullmatch(name) and name not in kept
            if (dropped or _UNFINISHED.fullmatch(name)) and path.is_dir():
                shutil.rmtree(path)
        if _HERE not in kept:
            for name in (ROOT_KEY_FILE, ROOT_FILE):
                (self.directory / name).unlink(missing_ok=True)
        for folder in {self.directory, *(self.directory / name for name in kept)}:
            authority = kept.get(_HERE if folder == self.directory else folder.name)
            stem = authority.intermediate if authority else ""
            current = {f"{stem}.pem", f"{stem}.key.pem"}
            for path in list(folder.iterdir()):
                stale = _INTERMEDIATES.fullmatch(path.name) and path.name not in current
                if stale or _TEMPORARY.fullmatch(path.name):
                    path.unlink(missing_ok=True)

    def leftovers(self, state: CaState) -> list[Path]:
        """What `sweep` would remove: the rest of a change that a crash cut short."""
        kept = {each.directory for each in state.authorities}
        return sorted(
            path
            for path in self.directory.iterdir()
            if (_NUMBERED.fullmatch(path.name) and path.name not in kept)
            or _UNFINISHED.fullmatch(path.name)
            or _TEMPORARY.fullmatch(path.name)
        )

    @contextmanager
    def lock(self) -> Generator[None]:
        """Keeps other processes and threads from changing the CA, or issuing, meanwhile."""
        path = self.directory / _LOCK_FILE
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, PRIVATE_FILE)
        except OSError as error:
            raise CaError(
                "state",
                f"{path} cannot be written ({error.strerror}): a CA is changed and issues only in "
                "a directory that its user can write to",
            ) from None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _write(self, key: Path, certificate: Path, signer: Signer) -> None:
        write_whole(key, keys.encode(signer.key, self._passphrase))
        write_whole(certificate, signer.certificate.public_bytes(Encoding.PEM), PUBLIC_FILE)

    def _with_key(self, certificate: x509.Certificate, path: Path, name: str) -> Signer:
        pem = read_file(path)
        mode = path.stat().st_mode & 0o777
        if mode & 0o077:
            raise CaError(
                "permissions",
                f"{path} has the mode {mode:04o}: others may have read the CA's key. Only its "
                f"owner may: chmod 600 {path}; and if anyone could have, start with a new CA",
            )
        try:
            key = keys.decode(pem, self._passphrase)
        except keys.UnusableKey as fault:
            if fault.rule == "passphrase":
                raise CaError("passphrase", f"{path} {fault}: give {_HOW}") from None
            raise BrokenDirectory(path, str(fault)) from None
        if certificate.public_key() != key.public_key():
            raise BrokenDirectory(path, f"is not the key of {name}")
        return Signer(certificate, key)

    def __repr__(self) -> str:
        return f"Store({self.directory})"


_HOW: Final = "a file with the passphrase (--passphrase-file, or MESHPACT_CA_PASSPHRASE_FILE)"


def fingerprint(certificate: x509.Certificate) -> str:
    """The SHA-256 of a certificate in hexadecimal."""
    return certificate.fingerprint(hashes.SHA256()).hex()


def others_can_write(folder: Path) -> bool:
    """Whether anybody but its owner can put something into a directory that is there."""
    try:
        return bool(folder.stat().st_mode & 0o022)
    except OSError:
        return False


def _check_owned(folder: Path) -> None:
    if others_can_write(folder):
        raise CaError(
            "permissions",
            f"{folder} can be written to by others than its owner: they may have put a CA of "
            f"theirs into it. Only its owner may write there: chmod 700 {folder}; and if anyone "
            "could have, start with a new CA",
        )


def _certificate(path: Path) -> x509.Certificate:
    pem = read_file(path)
    try:
        return read_certificates(pem)[0]
    except ValueError:
        raise BrokenDirectory(path, "is not a readable PEM certificate") from None
