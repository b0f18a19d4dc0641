"""Where the keys of token issuers come from: a file, or a key-set address (RFC 7517)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import Any, Final, Protocol

import httpx
import msgspec
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from meshpact.interceptors.errors import MeshpactError

FETCH_TIMEOUT: Final = 3.0
COOLDOWN: Final = 10.0
"""Seconds between two fetches for a key ID that the last key set did not have."""
MAX_AGE: Final = 3600.0
"""Seconds after which a fetched key set is fetched again."""
MAX_BYTES: Final = 256 * 1024


class KeysError(MeshpactError):
    """A key set cannot be read: no token of its issuer can be verified."""


class KeySource(Protocol):
    """The keys of one issuer. `current` never waits; `refresh` may."""

    def current(self) -> KeySet | None:
        """The keys known now, None when there are none yet."""
        ...

    def stale(self, key_id: str) -> bool:
        """Whether a refresh may bring what `current` lacks."""
        ...

    def refresh(self) -> None:
        """Reads the keys anew; keeps the old ones when that fails. Blocks."""
        ...

    async def refresh_async(self) -> None:
        """The same without blocking the loop; callers at once share one fetch."""
        ...


class FileKeys:
    """Keys in a file (a JWK set), read again when the file changes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp: tuple[int, int, int] | None = None
        self._keys: KeySet | None = None
        self.refresh()

    def current(self) -> KeySet | None:
        """The keys known now."""
        return self._keys

    def stale(self, key_id: str) -> bool:
        """Whether the file is another one than the one read."""
        return self._stat() != self._stamp

    def refresh(self) -> None:
        """Reads the file; a bad one leaves the keys as they are. Raises KeysError without keys."""
        stamp = self._stat()
        try:
            self._keys = parse_keys(self._path.read_bytes())
            self._stamp = stamp
        except (OSError, KeysError) as error:
            if self._keys is None:
                raise KeysError(f"{self._path}: {error}") from error

    async def refresh_async(self) -> None:
        """Reads the file: it is small and local."""
        self.refresh()

    def _stat(self) -> tuple[int, int, int] | None:
        try:
            stat = self._path.stat()
        except OSError:
            return None
        return stat.st_mtime_ns, stat.st_size, stat.st_ino


class RemoteKeys:
    """Keys at an address, fetched once for all who wait, not more often than the cooldown lets."""

    def __init__(
        self,
        url: str,
        *,
        clock: Callable[[], float] = time.monotonic,
        verify: bool | str = True,
    ) -> None:
        self._url = url
        self._clock = clock
        self._verify = verify
        self._keys: KeySet | None = None
        self._fetched = -MAX_AGE
        self._tried = -COOLDOWN
        self._lock = Lock()
        self._task: asyncio.Task[None] | None = None

    def current(self) -> KeySet | None:
        """The keys of the last fetch that worked."""
        return self._keys

    def stale(self, key_id: str) -> bool:
        """Whether a fetch is due: no keys, old keys, or an unknown key ID, outside the cooldown."""
        now = self._clock()
        if now - self._tried < COOLDOWN:
            return False
        return (
            self._keys is None
            or now - self._fetched > MAX_AGE
            or all(key.kid != key_id for key in self._keys.keys)
        )

    def refresh(self) -> None:
        """Fetches the keys, one thread at a time."""
        asked = self._clock()
        with self._lock:
            if self._tried > asked:
                return
            self._tried = self._clock()
            try:
                with httpx.Client(timeout=FETCH_TIMEOUT, verify=self._verify) as client:
                    self._accept(client.get(self._url))
            except (httpx.HTTPError, KeysError):
                return

    async def refresh_async(self) -> None:
        """Fetches the keys; callers at once share one fetch, and none can cancel it for others."""
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._fetch())
        await asyncio.shield(self._task)

    async def _fetch(self) -> None:
        self._tried = self._clock()
        try:
            async with httpx.AsyncClient(timeout=FETCH_TIMEOUT, verify=self._verify) as client:
                self._accept(await client.get(self._url))
        except (httpx.HTTPError, KeysError):
            return

    def _accept(self, response: httpx.Response) -> None:
        response.raise_for_status()
        if len(response.content) > MAX_BYTES:
            raise KeysError(f"{self._url}: the key set is over {MAX_BYTES} bytes")
        self._keys = parse_keys(response.content)
        self._fetched = self._clock()


class _Document(msgspec.Struct):
    keys: list[dict[str, Any]]


def parse_keys(content: bytes) -> KeySet:
    """The keys of a JWK set document. Raises KeysError."""
    try:
        document = msgspec.json.decode(content, type=_Document)
        keys = KeySet.import_key_set({"keys": document.keys})
    except (msgspec.MsgspecError, ValueError, TypeError, KeyError, JoseError) as error:
        raise KeysError(f"not a JWK set: {error}") from error
    if any(getattr(key, "is_private", False) for key in keys.keys):
        raise KeysError("the key set holds private keys; publish public ones only")
    return keys
