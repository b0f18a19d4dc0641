"""Identities from files, followed as they change; what is half written is never used."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Final, Protocol

from meshpact.certs.bundle import TrustBundle
from meshpact.certs.errors import CertsError, SourceError
from meshpact.certs.identity import Identity
from meshpact.certs.spiffe import TrustDomain
from meshpact.certs.svid import X509Svid, check_dns_name
from meshpact.certs.watch import Watch

_log: Final = logging.getLogger(__name__)

CERTIFICATE_FILE: Final = "cert.pem"
KEY_FILE: Final = "key.pem"

_BUNDLE_REMEDY: Final = "Remove it, or write it anew: meshpact certs init writes that of the mesh"
_ATTEMPTS: Final = 10
_PAUSE: Final = 0.02
_GRACE_NS: Final = 5_000_000_000

_Fingerprint = tuple[tuple[str, int, int, int], ...]


class Layout(Protocol):
    """Where the files of an identity lie, and how they are read."""

    @property
    def directory(self) -> Path:
        """Where certificate and key are."""
        ...

    def paths(self) -> Sequence[Path]:
        """All files that matter now, in a fixed order."""
        ...

    def read(self) -> Identity:
        """What the files hold. SourceError when they are not in order."""
        ...


class FollowedFiles:
    """A source that reads the files of a layout again when they change.

    `current` looks at the files' times, sizes and inodes (about 20 us) and reads them when one
    changed. Files that are half written, do not match or break a rule are never used: the identity
    stays the old one, `refused` is told once for each such state (default: a log line), and the
    files are read again when they change. Without an old one, the constructor raises SourceError.
    Safe to use from several threads.
    """

    def __init__(
        self, layout: Layout, *, refused: Callable[[SourceError], None] | None = None
    ) -> None:
        self._layout = layout
        self._refused = refused or _log_refusal
        self._lock = threading.Lock()
        self._seen, self._identity = self._load_first()
        self._watch = Watch(self.current)

    def subscribe(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Look every half second, on a thread of its own, for as long as somebody is subscribed."""
        return self._watch.subscribe(callback)

    def current(self) -> Identity:
        """The identity that the files hold, or held when they were last in order."""
        if self._fingerprint() == self._seen:
            return self._identity
        refusal: SourceError | None = None
        with self._lock:
            seen = self._fingerprint()
            if seen != self._seen:
                try:
                    identity = self._layout.read()
                except SourceError as error:
                    if self._fingerprint() != seen or (
                        error.rule == "key-mismatch" and _young(seen)
                    ):
                        return self._identity
                    refusal = error
                else:
                    if self._fingerprint() != seen:  # written while it was read: next time
                        return self._identity
                    self._identity = identity
                    self._watch.wake()
                self._seen = seen
        if refusal is not None:
            self._refused(refusal)
        return self._identity

    def _load_first(self) -> tuple[_Fingerprint, Identity]:
        for attempt in range(_ATTEMPTS):
            seen = self._fingerprint()
            try:
                identity = self._layout.read()
            except SourceError as error:
                # Another process may be between its two renames.
                writing = error.rule == "key-mismatch" or self._fingerprint() != seen
                if not writing or attempt == _ATTEMPTS - 1:
                    raise
            else:
                if self._fingerprint() == seen:
                    return seen, identity
            time.sleep(_PAUSE)
        raise SourceError(
            "unsteady",
            f"the files in {self._layout.directory} change all the time: stop what writes them",
        )

    def _fingerprint(self) -> _Fingerprint:
        found: list[tuple[str, int, int, int]] = []
        for path in self._layout.paths():
            try:
                stat = path.stat()
            except OSError:
                found.append((str(path), 0, 0, 0))
            else:
                found.append((str(path), stat.st_mtime_ns, stat.st_size, stat.st_ino))
        return tuple(found)


class FileSource(FollowedFiles):
    """Follows `cert.pem` and `key.pem` of a directory, and `<trust-domain>.pem` bundles of another.

    The layout of the state directory: `meshpact up` and `meshpact certs` write it.
    """

    def __init__(
        self,
        directory: Path,
        trust_dir: Path,
        *,
        refused: Callable[[SourceError], None] | None = None,
    ) -> None:
        super().__init__(_StateLayout(directory, trust_dir), refused=refused)


class _StateLayout:
    def __init__(self, directory: Path, trust_dir: Path) -> None:
        self.directory = directory
        self._trust_dir = trust_dir

    def paths(self) -> Sequence[Path]:
        return [self.directory / CERTIFICATE_FILE, self.directory / KEY_FILE, *self._bundles()]

    def read(self) -> Identity:
        certificate = self.directory / CERTIFICATE_FILE
        remedy = f"Issue it anew: meshpact certs issue {self.directory.name}"
        svid = read_svid(certificate, self.directory / KEY_FILE, remedy)
        try:
            check_dns_name(svid.leaf, svid.id)
        except CertsError as error:
            raise SourceError(error.rule, f"{certificate}: {error}. {remedy}") from None
        bundles = {
            path.stem: read_bundle(path, path.stem, _BUNDLE_REMEDY) for path in self._bundles()
        }
        if svid.id.trust_domain.name not in bundles:
            expected = self._trust_dir / f"{svid.id.trust_domain}.pem"
            raise SourceError(
                "trust-domain",
                f"{expected} is missing: the trust bundle of the identity's own domain is needed. "
                f"Write it: meshpact certs init --trust-domain {svid.id.trust_domain}",
            )
        return Identity(svid, MappingProxyType(bundles))

    def _bundles(self) -> list[Path]:
        return sorted(
            path for path in self._trust_dir.glob("*.pem") if not path.name.startswith(".")
        )


def read_svid(certificate: Path, key: Path, remedy: str) -> X509Svid:
    """The SVID of two files. SourceError names the file, the rule and the remedy."""
    chain_pem, key_pem = _read_file(certificate, remedy), _read_file(key, remedy)
    try:
        return X509Svid.from_pem(chain_pem, key_pem)
    except CertsError as error:
        raise SourceError(
            error.rule, f"{key if error.rule == 'key' else certificate}: {error}. {remedy}"
        ) from None


def read_bundle(path: Path, trust_domain: TrustDomain | str, remedy: str) -> TrustBundle:
    """The trust bundle of a PEM file. SourceError names the file, the rule and the remedy."""
    pem = _read_file(path, remedy)
    try:
        return TrustBundle.from_pem(trust_domain, pem)
    except CertsError as error:
        raise SourceError(error.rule, f"{path}: {error}. {remedy}") from None


def _read_file(path: Path, remedy: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SourceError(
            "unreadable", f"{path} cannot be read: {error.strerror}. {remedy}"
        ) from None


def _young(fingerprint: _Fingerprint) -> bool:
    """Whether a file is so new that its writer may be between its two renames."""
    return abs(time.time_ns() - max(entry[1] for entry in fingerprint)) < _GRACE_NS


def _log_refusal(error: SourceError) -> None:
    _log.error("new identity refused, the old one stays: %s", error)
