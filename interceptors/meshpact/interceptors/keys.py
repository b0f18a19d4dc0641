"""Where the keys of token issuers come from: the Protocols, and key sets in files."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import Final, Protocol

from meshpact.interceptors.background import Flight
from meshpact.interceptors.keyring import KeyRing as KeyRing
from meshpact.interceptors.keyring import KeysError as KeysError
from meshpact.interceptors.keyring import parse_keys as parse_keys

log = logging.getLogger("meshpact.keys")

TRUSTED: Final = 6 * 3600.0
"""Seconds for which keys are believed that could not be read again."""
LOOK: Final = 1.0
"""Seconds between two looks at a file."""
MAX_BYTES: Final = 256 * 1024
"""Size of a key set."""


class Refreshable(Protocol):
    """Something a call has to wait for. One of the two is called, by the kind of server."""

    def refresh(self) -> None:
        """Brings what is missing, or gives up in bounded time. Blocks. KeysError is logged."""
        ...

    async def refresh_async(self) -> None:
        """The same without blocking the loop."""
        ...


class KeySource(Refreshable, Protocol):
    """The keys of one issuer. `current` never waits; `refresh` may."""

    def current(self) -> KeyRing | None:
        """The keys known now, None when there are none, or none that are still believed.

        The same ring for as long as the keys do not change. Starts a refresh in the background
        when one is due.
        """
        ...

    def stale(self, key_id: str) -> bool:
        """Whether a refresh may bring the key, which `current` lacks."""
        ...

    @property
    def failing(self) -> bool:
        """Whether the last refresh failed: a key that is not known here may be a new one."""
        ...


class FileKeys:
    """Keys in a file (a JWK set), read again within seconds of a change.

    A bad file is reported and leaves the keys as they are, for `TRUSTED` seconds at most.
    """

    def __init__(self, path: Path, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._clock = clock
        self._stamp: tuple[int, int, int] | None = None
        self._keys: KeyRing | None = None
        self._problem = ""
        self._due = self._until = 0.0
        self._lock = Lock()
        self._flight = Flight(self._look)
        self.refresh()

    @property
    def failing(self) -> bool:
        """Whether the file cannot be read now."""
        return bool(self._problem)

    def current(self) -> KeyRing | None:
        """The keys known now."""
        now = self._clock()
        if now >= self._due:
            self._flight.start()
        return self._keys if now < self._until else None

    def stale(self, key_id: str) -> bool:
        """Whether the file is another one than the one read."""
        return self._stat() != self._stamp

    def refresh(self) -> None:
        """Reads the file when it changed. Raises KeysError when there are no keys at all."""
        with self._lock:
            self._read()

    async def refresh_async(self) -> None:
        """Reads the file: it is small and local."""
        self.refresh()

    def _read(self) -> None:
        stamp, now = self._stat(), self._clock()
        try:
            if stamp is None or stamp != self._stamp or self._problem:
                with self._path.open("rb") as file:
                    content = file.read(MAX_BYTES + 1)
                if len(content) > MAX_BYTES:
                    raise KeysError(f"the key set is over {MAX_BYTES} bytes")
                self._keys = parse_keys(content)
                self._stamp = stamp
            self._until = now + TRUSTED
            self._problem = ""
        except (OSError, KeysError) as error:
            reason = str(error.strerror if isinstance(error, OSError) else error)
            if self._keys is None:
                raise KeysError(f"{self._path}: {reason}") from None
            if reason != self._problem:
                log.warning("%s: %s; the keys stay as they were", self._path, reason)
            self._problem = reason
        finally:
            self._due = now + LOOK

    async def _look(self) -> None:
        """Away from the calls: on a disk in the network a look may take long."""
        self.refresh()

    def _stat(self) -> tuple[int, int, int] | None:
        try:
            stat = self._path.stat()
        except OSError:
            return None
        return stat.st_mtime_ns, stat.st_size, stat.st_ino
