"""Identities from files, followed as they change; what is half written is never used."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import MappingProxyType
from typing import Final

from meshpact.certs.bundle import TrustBundle
from meshpact.certs.errors import CertsError, SourceError
from meshpact.certs.identity import Identity
from meshpact.certs.svid import X509Svid, check_dns_name
from meshpact.certs.watch import Watch

_log: Final = logging.getLogger(__name__)

CERTIFICATE_FILE: Final = "cert.pem"
KEY_FILE: Final = "key.pem"

_ATTEMPTS: Final = 10
_PAUSE: Final = 0.02
_GRACE_NS: Final = 5_000_000_000

_Fingerprint = tuple[tuple[str, int, int, int], ...]


class FileSource:
    """Reads `cert.pem` and `key.pem` of a directory, and `<trust-domain>.pem` bundles of another.

    `current` looks at the files' times, sizes and inodes (about 20 us) and reads them when one
    changed. Files that are half written, do not match or break a rule are never used: the identity
    stays the old one, `refused` is told once for each such state (default: a log line), and the
    files are read again when they change. Without an old one, the constructor raises SourceError.
    Safe to use from several threads.
    """

    def __init__(
        self,
        directory: Path,
        trust_dir: Path,
        *,
        refused: Callable[[SourceError], None] | None = None,
    ) -> None:
        self._directory = directory
        self._trust_dir = trust_dir
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
                    identity = self._load()
                except SourceError as error:
                    if error.rule == "key-mismatch" and _young(seen):
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
                identity = self._load()
            except SourceError as error:
                # Another process may be between its two renames.
                if error.rule != "key-mismatch" or attempt == _ATTEMPTS - 1:
                    raise
            else:
                if self._fingerprint() == seen:
                    return seen, identity
            time.sleep(_PAUSE)
        raise SourceError(
            "unsteady", f"the files in {self._directory} change all the time: stop what writes them"
        )

    def _fingerprint(self) -> _Fingerprint:
        paths = [self._directory / CERTIFICATE_FILE, self._directory / KEY_FILE, *self._bundles()]
        found: list[tuple[str, int, int, int]] = []
        for path in paths:
            try:
                stat = path.stat()
            except OSError:
                found.append((str(path), 0, 0, 0))
            else:
                found.append((str(path), stat.st_mtime_ns, stat.st_size, stat.st_ino))
        return tuple(found)

    def _bundles(self) -> list[Path]:
        return sorted(
            path for path in self._trust_dir.glob("*.pem") if not path.name.startswith(".")
        )

    def _load(self) -> Identity:
        certificate, key = self._directory / CERTIFICATE_FILE, self._directory / KEY_FILE
        chain_pem, key_pem = _read(certificate), _read(key)
        try:
            svid = X509Svid.from_pem(chain_pem, key_pem)
            check_dns_name(svid.leaf, svid.id)
        except CertsError as error:
            raise SourceError(
                error.rule,
                f"{key if error.rule == 'key' else certificate}: {error}. Issue it anew: "
                f"meshpact certs issue {self._directory.name}",
            ) from None
        bundles: dict[str, TrustBundle] = {}
        for path in self._bundles():
            try:
                bundles[path.stem] = TrustBundle.from_pem(path.stem, _read(path))
            except SourceError:
                raise
            except CertsError as error:
                raise SourceError(error.rule, f"{path}: {error}") from None
        if svid.id.trust_domain.name not in bundles:
            expected = self._trust_dir / f"{svid.id.trust_domain}.pem"
            raise SourceError(
                "trust-domain",
                f"{expected} is missing: the trust bundle of the identity's own domain is needed. "
                f"Write it: meshpact certs init --trust-domain {svid.id.trust_domain}",
            )
        return Identity(svid, MappingProxyType(bundles))


def _young(fingerprint: _Fingerprint) -> bool:
    """Whether a file is so new that its writer may be between its two renames."""
    return abs(time.time_ns() - max(entry[1] for entry in fingerprint)) < _GRACE_NS


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SourceError(
            "unreadable",
            f"{path} cannot be read: {error.strerror}. Identities are written by meshpact certs "
            "init and meshpact certs issue",
        ) from None


def _log_refusal(error: SourceError) -> None:
    _log.error("new identity refused, the old one stays: %s", error)
